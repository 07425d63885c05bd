"""A measure over the steps of training, one curve per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analyses.figures.over_training import CoursePoints, over_training_figure
from workbench.report.findings import Number
from workbench.report.findings.shown import course_numbers
from workbench.report.plain_words import plain_words
from workbench.study.folders import Run
from workbench.ui.kit.cached import course_of
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection

READABLE = "linear_separability."
RECONSTRUCTION = "reconstruction."
TOKEN_ACCURACY = f"{RECONSTRUCTION}token_accuracy"
ALWAYS_THE_SAME = (
    " The dotted line is what a decoder scores that always says the commonest word; random weights "
    "say any word of the vocabulary, so they start below it."
)
STAGE_WORDS = {"vae": "autoencoder", "flow": "flow"}


def courses(selection: Selection) -> dict[str, list[tuple[Run, pd.DataFrame]]]:
    """Selected arm -> its probed runs with their tables, seed by seed; others are absent."""
    found: dict[str, list[tuple[Run, pd.DataFrame]]] = {}
    for arm in selection.arms:
        for seed in selection.study.config.seeds:
            run = selection.study.run(arm, seed)
            table = course_of(run)
            if table is not None:
                found.setdefault(arm, []).append((run, table))
    return found


def course_note(selection: Selection) -> None:
    """Say that the course of a training is not probed, and the commands that do it."""
    st.info(
        "What the weights at each milestone show is measured when asked for. It needs trainings "
        "that kept milestones, as those of the demo do:",
        icon=":material/hourglass_empty:",
    )
    lines = [
        f"python -m workbench probe {selection.name}/{arm}/{selection.seed} --checkpoints"
        for arm in selection.arms
    ]
    st.code("\n".join(lines), language="bash")


def measures(found: Mapping[str, Sequence[tuple[Run, pd.DataFrame]]]) -> list[tuple[str, str]]:
    """(stage, measure) of everything that is defined at some step of some run."""
    names = [
        (str(stage), str(measure))
        for own in found.values()
        for _, table in own
        for stage, measure in table.dropna(subset="score")[["stage", "measure"]].to_numpy()
    ]
    return list(dict.fromkeys(names))


def show_course(
    selection: Selection,
    found: Mapping[str, Sequence[tuple[Run, pd.DataFrame]]],
    stage: str,
    measure: str,
    caption: str,
) -> None:
    """Draw one measure over the steps of one stage, a curve a run."""
    words = STAGE_WORDS[stage]
    show_figure(
        kept_figure(
            over_training_figure,
            drawn_courses(found, stage, measure),
            y=plain_words(measure),
            arms=selection.all_arms,
            theme=theme(),
            chance_name=_chance_name(measure),
        ),
        f"over-training-{stage}-{measure}",
        caption=f"{caption} Step 0 is the untrained {words}; bands are 95 % intervals over texts."
        + (ALWAYS_THE_SAME if measure == TOKEN_ACCURACY else ""),
    )


def _chance_name(measure: str) -> str:
    if measure.startswith(READABLE):
        return "majority class"
    return "the commonest word" if measure == TOKEN_ACCURACY else "chance or floor"


def drawn_courses(
    found: Mapping[str, Sequence[tuple[Run, pd.DataFrame]]], stage: str, measure: str
) -> list[CoursePoints]:
    """One measure of every run that has it."""
    points = [
        course_points(run, table, stage, measure) for own in found.values() for run, table in own
    ]
    return [own for own in points if len(own.steps)]


def course_points(run: Run, table: pd.DataFrame, stage: str, measure: str) -> CoursePoints:
    """One measure of one run, step by step."""
    own = table[(table["stage"] == stage) & (table["measure"] == measure)].sort_values("step")
    columns = {
        name: own[name].to_numpy(np.float64, na_value=np.nan)
        for name in ("score", "low", "high", "chance")
    }
    return CoursePoints(arm=run.arm, seed=run.seed, steps=own["step"].to_numpy(np.int64), **columns)


def show_any_measure(selection: Selection) -> None:
    """Choose any measure over training and draw it."""
    found = courses(selection)
    names = list(_named(found))
    st.selectbox("Measure", names, names.index(_first(names)), key="course", bind="query-params")
    stage, measure = _chosen(found)
    show_course(
        selection,
        found,
        stage,
        measure,
        "Look for where the arms part, and whether before or after they read back well.",
    )
    absent = [arm for arm in selection.arms if arm not in found]
    if absent:
        st.caption(f"Not probed over training yet: {', '.join(absent)}.")


def any_measure_numbers(selection: Selection) -> list[Number]:
    """The chosen measure at every step of every training, for a finding."""
    found = courses(selection)
    stage, measure = _chosen(found)
    return course_numbers(drawn_courses(found, stage, measure), stage, measure)


def _named(
    found: Mapping[str, Sequence[tuple[Run, pd.DataFrame]]],
) -> dict[str, tuple[str, str]]:
    return {
        f"{STAGE_WORDS[stage]}: {measure}": (stage, measure) for stage, measure in measures(found)
    }


def _chosen(found: Mapping[str, Sequence[tuple[Run, pd.DataFrame]]]) -> tuple[str, str]:
    names = _named(found)
    return names.get(st.session_state.get("course", ""), names[_first(list(names))])


def _first(names: Sequence[str]) -> str:
    """What is drawn unasked: what can be read, else no reconstruction, in which arms look alike.

    A rule of names, in their order: no score is looked at.
    """
    readable = [name for name in names if f": {READABLE}" in name]
    others = [name for name in names if f": {RECONSTRUCTION}" not in name]
    return (readable or others or names)[0]
