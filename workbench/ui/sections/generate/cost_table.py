"""What the continuations cost, and a button that exports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.exhibits import show_table
from workbench.ui.sections.generate.continuations import write

if TYPE_CHECKING:
    from workbench.sample.continued import Continuations
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.generate.continuations import WritingView


def show_cost(written: Mapping[str, Continuations]) -> None:
    """Network evaluations and seconds, one row per arm."""
    with st.expander("What it cost"):
        _cost_table(written)


def _cost_table(written: Mapping[str, Continuations]) -> None:
    import pandas as pd

    show_table(
        pd.DataFrame(
            {
                "arm": list(written),
                "network evaluations": [w.nfe for w in written.values()],
                "seconds": [round(w.seconds, 3) for w in written.values()],
                "ended by itself": ["yes" if w.ended.all() else "no" for w in written.values()],
            }
        ),
        "cost",
        caption="Of the text that is read. Guidance other than 0 or 1 evaluates the network twice "
        "a step, and so counts twice.",
    )


def offer_texts(selection: Selection, view: WritingView, prompts: Sequence[str]) -> None:
    """Prompts and continuations as a file; those that nobody has read yet are written for it."""

    def table() -> str:
        import pandas as pd

        texts = {
            run.title: [write(run, view, row).texts[0] for row in range(len(prompts))]
            for run in selection.runs.values()
        }
        return pd.DataFrame({"prompt": list(prompts), **texts}).to_csv(index=False)

    st.download_button(
        "CSV" if len(prompts) == 1 else f"CSV of all {len(prompts)}", table,
        file_name="continuations.csv", mime="text/csv", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip
