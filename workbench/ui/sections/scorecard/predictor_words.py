"""Rows of a scorecard in plain words, with their code names in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.report.plain_words import result_words
from workbench.report.scorecard import BASELINE, table_rows
from workbench.ui.kit.exhibits import CODE_NAME

if TYPE_CHECKING:
    import pandas as pd

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


def drawn_rows(rows: Sequence[ScorecardRow]) -> pd.DataFrame:
    """Every number behind the figure, the predictor in words and by its code name."""
    import pandas as pd

    return pd.DataFrame([{"measure": result_words(row.predictor), **row.flat()} for row in rows])
