"""Views over training steps: a measure's curve for each arm, and when labels become readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analyses.figures.over_training import CoursePoints, over_training_figure
from analyses.figures.reconstruction_generation import RunPoint, Trail
from workbench.report.findings import Number
from workbench.report.findings.shown import course_numbers
from workbench.report.number_text import number_text
from workbench.study.folders import Run, open_study
from workbench.ui.kit.cached import course_of
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.scan import found_studies, stamp, study_of
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.sidebar import Selection

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
        over_training_figure(
            drawn_courses(found, stage, measure),
            y=measure,
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
    cells: dict[str, Any] = {"label": row["label"]}
    for arm in arms:
        clear = ["never" if step is None else str(step) for step in row[f"{arm} clear"]]
        cells[f"{arm}: clear"] = ", ".join(clear)
        cells[f"{arm}: half"] = _steps(*(row[f"{arm} {key}"] for key in _HALF))
    known = row["ratio"] is not None
    interval = f"[{number_text(row['low'])}, {number_text(row['high'])}]" if known else "-"
    ratio = {f"{arms[0]} / {arms[-1]}": number_text(row["ratio"]), "interval": interval}
    return {**cells, **ratio, "order": row["order"]}


_HALF = ("half", "half_low", "half_high")


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


def trails(points: Mapping[str, Sequence[RunPoint]], score: str) -> list[Trail]:
    """Flow milestones of all probed runs: their VAE's reconstruction against their own score.

    A VAE's milestones have no generator of their own, so they have no place in this picture.
    """
    drawn = []
    for found in found_studies():
        if found.problem:
            continue
        for point in points.get(found.name, ()):
            table = course_of(study_of(found).run(point.arm, point.seed))
            if table is None or point.reconstruction.mean is None:
                continue
            own = table[(table["stage"] == "flow") & (table["measure"] == score)]
            own = own.dropna(subset="score").sort_values("step")
            if len(own):
                drawn.append(
                    Trail(
                        arm=point.arm,
                        seed=point.seed,
                        steps=own["step"].to_numpy(np.int64),
                        reconstruction=point.reconstruction.mean,
                        generation=own["score"].to_numpy(np.float64),
                    )
                )
    return drawn
