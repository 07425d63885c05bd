"""Rows of a scorecard in plain words, with their code names in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.complement_rows import complement_rows
from workbench.report.plain_words import result_words
from workbench.report.scorecard import BASELINE, table_rows
from workbench.ui.kit.exhibits import CODE_NAME, show_table

if TYPE_CHECKING:
    import pandas as pd

    from analyses.scorecard.complements import Complements
    from analyses.scorecard.row import ScorecardRow


def worded(rows: Sequence[ScorecardRow]) -> list[ScorecardRow]:
    """The rows with their predictors in plain words, as a figure names them."""
    return [replace(row, predictor=result_words(row.predictor)) for row in rows]


def predictor_table(rows: Sequence[ScorecardRow], score: str) -> pd.DataFrame:
    """The rows of one score as text, the strongest first."""
    import pandas as pd

    frame = pd.DataFrame(table_rows(rows, score))
    codes = frame["predictor"].str.removesuffix(BASELINE)
    is_baseline = frame["predictor"].str.endswith(BASELINE)
    words = codes.map(result_words) + is_baseline.map({True: BASELINE, False: ""})
    return frame.assign(**{"predictor": words, CODE_NAME: codes})


def show_complements(found: Complements) -> None:
    """What the strongest probes add to each other; nothing where that is not known."""
    import pandas as pd

    rows = complement_rows(found, result_words)
    if not rows:
        return
    with st.expander("What the strongest add to each other"):
        show_table(
            pd.DataFrame(rows), "complements",
            caption="One measure of each of the strongest probes. *Given 1*: the correlation that "
            "is left once the first measure is known; an interval that holds zero adds nothing to "
            f"it. {found.num_runs} runs of {found.num_arms} arms, 95 % intervals over arms. They "
            "were chosen by these same runs, which flatters a little.",
        )  # fmt: skip


def drawn_rows(rows: Sequence[ScorecardRow]) -> pd.DataFrame:
    """Every number behind the figure, the predictor in words and by its code name."""
    import pandas as pd

    return pd.DataFrame([{"measure": result_words(row.predictor), **row.flat()} for row in rows])
