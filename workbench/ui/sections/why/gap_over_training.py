"""Whether alignment buys speed or a better end: the gap between two arms over their training."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analyses.figures.over_training import CoursePoints, over_training_figure
from workbench.probes.course.gap import gap_over_training
from workbench.report.plain_words import plain_words
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection

STORED = ("nats_per_token", "valid_4gram", "fidelity")


def show_gap(selection: Selection, score: str) -> None:
    """Draw second - first at every milestone of the flow, for the page's score if it is stored."""
    with guarded("The gap over training"):
        name = score.removeprefix("generation.")
        name = name if name in STORED else STORED[1]
        first, second = (selection.runs[arm] for arm in (selection.first, selection.second))
        table = gap_over_training(first, second, name)
        if table["difference"].isna().all():
            st.info("No milestone of both arms is scored yet: `probe RUN --checkpoints` does it.")
            return
        arms = f"{second.arm} - {first.arm}"
        show_figure(
            kept_figure(
                over_training_figure,
                [_points(table, arms, selection.seed)],
                y=f"{plain_words('generation.' + name)}, {arms}",
                theme=theme(),
                chance_name="no difference",
            ),
            "gap-over-training",
            table=lambda: table,
            caption=gap_sentence(table, first.arm, second.arm),
        )


def gap_sentence(table: pd.DataFrame, first: str, second: str) -> str:
    """The widest gap, the last one, and what the band is."""
    known = table.dropna(subset="difference").to_dict("records")
    widest, last = max(known, key=lambda row: abs(row["difference"])), known[-1]
    said = [_gap(widest, "widest")] if widest is not last else []
    said.append(_gap(last, "last"))
    return (
        f"{second} - {first}: {'; '.join(said)}. Bands are 95 % intervals, paired over "
        f"{last['n']} prompts of one seed. A gap that closes is speed; one that stays is a "
        "better space, as far as this training goes."
    )


def _gap(row: Mapping[Hashable, Any], which: str) -> str:
    return (
        f"{which} at step {row['step']}, {row['difference']:.3f} "
        f"[{row['low']:.3f}, {row['high']:.3f}]"
    )


def _points(table: pd.DataFrame, arm: str, seed: int) -> CoursePoints:
    columns = {name: table[name].to_numpy(np.float64) for name in ("low", "high")}
    steps = table["step"].to_numpy(np.int64)
    zero = np.zeros(len(steps))
    score = table["difference"].to_numpy(np.float64)
    return CoursePoints(arm=arm, seed=seed, steps=steps, score=score, chance=zero, **columns)
