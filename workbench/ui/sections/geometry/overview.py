"""Every geometric measure of two arms, sorted by whether the arms part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.parting import Gap, parting_figure, sorted_gaps
from workbench.report.plain_words import result_words
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme
from workbench.ui.sections.shared.stored_results import Results

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection

MOST_DRAWN = 8


def gaps_of(results: Mapping[str, Results], prefixes: Sequence[str]) -> list[Gap]:
    """Measures with an interval in both arms, those that part first."""
    first, second = next(iter(results.values())), list(results.values())[-1]
    names = [
        name
        for name in first
        if name.startswith(tuple(prefixes)) and _is_known(first, name) and _is_known(second, name)
    ]
    return sorted_gaps(
        [
            Gap(
                name=result_words(name),
                first=_interval(first, name),
                second=_interval(second, name),
                higher_is_better=first[name].get("higher_is_better"),
            )
            for name in names
        ]
    )


def _is_known(results: Results, name: str) -> bool:
    result = results.get(name, {})
    return None not in (result.get("score"), result.get("low"), result.get("high"))


def _interval(results: Results, name: str) -> tuple[float, float, float]:
    result = results[name]
    return float(result["score"]), float(result["low"]), float(result["high"])


def show_overview(
    selection: Selection, results: Mapping[str, Results], prefixes: Sequence[str]
) -> None:
    """Draw the measures and say how many favour which arm."""
    if len(selection.arms) < 2:
        st.info("Choose two arms in the sidebar: the overview sorts by whether they part.")
        return
    gaps = gaps_of(results, prefixes)
    if not gaps:
        st.info("No measure is stored with an interval for both arms yet.")
        return
    arms = (selection.first, selection.second)
    hidden = max(0, len(gaps) - MOST_DRAWN)
    show_figure(
        kept_figure(
            parting_figure, gaps[:MOST_DRAWN], arms, all_arms=selection.all_arms, theme=theme()
        ),
        "overview",
        caption=f"{verdict(gaps, arms)} "
        + (f"The {hidden} rows below these part less; the CSV has all." if hidden else ""),
        table=lambda: _frame(gaps, arms),
    )


def verdict(gaps: Sequence[Gap], arms: tuple[str, str]) -> str:
    """How many measures favour which arm, and how many none."""
    winners = [gap.winner(arms) for gap in gaps]
    apart = sum(gap.parts for gap in gaps)
    counts = ", ".join(f"{winners.count(arm)} favour {arm}" for arm in arms)
    no_end = apart - sum(winner is not None for winner in winners)
    return (
        f"Of {len(gaps)} measures {counts}, {no_end} part without a better end, and "
        f"{len(gaps) - apart} cannot be told apart: there neither arm wins."
    )


def _frame(gaps: Sequence[Gap], arms: tuple[str, str]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {
            "measure": gap.name,
            **dict(
                zip((f"{arms[0]}", f"{arms[0]} low", f"{arms[0]} high"), gap.first, strict=True)
            ),
            **dict(
                zip((f"{arms[1]}", f"{arms[1]} low", f"{arms[1]} high"), gap.second, strict=True)
            ),
            "parts": gap.parts,
            "favours": gap.winner(arms) or "neither",
        }
        for gap in gaps
    ]
    return pd.DataFrame(rows)
