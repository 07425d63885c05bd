"""When each label becomes readable in both arms, and whether one arm is earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.report.number_text import MISSING, number_text
from workbench.report.plain_words import label_words
from workbench.study.folders import open_study
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

_HALF = ("half", "half_low", "half_high")


def show_onsets(selection: Selection) -> None:
    """A table of labels: when each becomes readable in both arms, and whether one is earlier."""
    import pandas as pd

    rows = onsets(selection)
    frame = pd.DataFrame([_onset_row(row, selection.arms) for row in rows])
    if not len(frame):
        st.info("No label could be probed at every step in both arms.")
        return
    seeds = rows[0]["seeds"]
    show_table(
        frame,
        "onsets",
        faded=lambda row: row["order"] == "not distinguishable",
        caption="*Clear*: first milestone from which on the probe's interval stays above chance "
        "and above shuffled labels; 0 = read from random weights already, for an untrained encoder "
        "tells words apart too. *Half*: step at which half of what training adds to the "
        "untrained space is reached, at one level for both arms, with its interval. "
        f"{_order_sentence(selection.first, selection.second)} {_seeds_sentence(seeds)}",
    )


def onsets(selection: Selection) -> list[dict[str, Any]]:
    """Rows of `compare_readings` for the two arms."""
    study = selection.study
    tables = [
        stamp(study.run(arm, seed).over_training_dir / "table.parquet")
        for arm in selection.arms
        for seed in study.config.seeds
    ]
    return _onsets(str(study.directory), selection.first, selection.second, repr(tables))


@st.cache_data(max_entries=32, show_spinner=False)
def _onsets(directory: str, first: str, second: str, stamps: str) -> list[dict[str, Any]]:
    from workbench.probes.course.onsets import compare_readings

    return compare_readings(open_study(Path(directory)), first, second)


def _onset_row(row: Mapping[str, Any], arms: Sequence[str]) -> dict[str, Any]:
    cells: dict[str, Any] = {"label": label_words(row["label"])}
    for arm in arms:
        clear = ["never" if step is None else str(step) for step in row[f"{arm} clear"]]
        cells[f"{arm}: clear"] = ", ".join(clear)
        cells[f"{arm}: half"] = _steps(*(row[f"{arm} {key}"] for key in _HALF))
    known = row["ratio"] is not None
    interval = f"[{number_text(row['low'])}, {number_text(row['high'])}]" if known else MISSING
    ratio = {f"{arms[0]} / {arms[-1]}": number_text(row["ratio"]), "interval": interval}
    return {**cells, **ratio, "order": row["order"]}


def _steps(step: float | None, low: float | None, high: float | None) -> str:
    return "not defined" if step is None else f"{step:.0f} [{low:.0f}, {high:.0f}]"


def _order_sentence(first: str, second: str) -> str:
    return (
        f"*Order* is {first}'s against {second}'s: *earlier* or *later* where the interval of the "
        f"ratio leaves out 1, *rises alone* where training certainly adds something in {first} "
        f"only, *never rises* where it does in {second} only."
    )


def _seeds_sentence(seeds: int) -> str:
    if seeds == 1:
        return "One seed: the interval speaks of texts, not of other trainings."
    return f"{seeds} seeds, resampled with the texts; so few make the interval too narrow."
