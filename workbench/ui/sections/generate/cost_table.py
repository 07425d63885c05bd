"""What the continuations cost, and a button that exports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.exhibits import show_table

if TYPE_CHECKING:
    from workbench.sample.continued import Continuations


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
                "network evaluations a prompt": [w.nfe for w in written.values()],
                "seconds in all": [round(w.seconds, 3) for w in written.values()],
                "ended by itself": [f"{w.ended.mean():.0%}" for w in written.values()],
            }
        ),
        "cost",
        caption="Guidance other than 0 or 1 evaluates the network twice a step, and so counts "
        "twice.",
    )


def offer_texts(prompts: Sequence[str], written: Mapping[str, Continuations]) -> None:
    """Prompts and continuations as a file."""
    import pandas as pd

    texts = {arm: own.texts for arm, own in written.items()}
    rows = pd.DataFrame({"prompt": list(prompts), **texts})
    st.download_button(
        "CSV", lambda: rows.to_csv(index=False),
        file_name="continuations.csv", mime="text/csv", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip
