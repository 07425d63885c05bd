"""Training records of the selected runs, and what each job said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.training_log import parts_figure, training_log_figure
from workbench.machine.jobs import list_jobs
from workbench.machine.schedulers import read_tasks
from workbench.store.metrics_log import NOT_FINITE
from workbench.study.generators import generator_runs
from workbench.ui.kit.cached import metrics_of
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import inline
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.theme import theme
from workbench.ui.sections.shared.job_cards import WORDS

if TYPE_CHECKING:
    import pandas as pd

    from workbench.study.folders import Run
    from workbench.study.generators import GeneratorRun
    from workbench.ui.kit.selection import Selection

# Stage -> what belongs together: a name of files, its lines, and what to look at.
PARTS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "vae": (
        "gradient-shares",
        {
            "reconstruction": "grad_share_recon",
            "alignment": "grad_share_repa",
            "KL": "grad_share_kl",
        },
        "How much of the gradient at the encoder's last states each loss brings. Alignment has "
        "done its work when its share falls while `repa_cosine`, below, no longer rises; where "
        "`log_snr` falls, the posterior's noise is swallowing the meaning.",
    ),
    "flow": (
        "loss-and-floors",
        {
            "loss": "loss",
            "knows the covariance": "floor_gaussian",
            "knows every mean": "floor_given_mu",
        },
        "The flow's loss between what is reached without learning: knowing the latents' "
        "covariance alone, and knowing every posterior mean.",
    ),
}
JOBS_SHOWN = 8


def show_logs(selection: Selection) -> None:
    """The records of one stage as small panels, then what jobs and a scheduler's tasks said."""
    with guarded("The logs"):
        stages = stage_names(selection)
        if stages:
            _show_stage(selection, stages)
        else:
            st.info("Nothing is logged yet.")
    for job in reversed(list_jobs()[-JOBS_SHOWN:]):
        with st.expander(f"{inline(job.title)} {WORDS[job.state][0]}", key=f"log-{job.name}"):
            st.code(job.log() or "(said nothing yet)", language=None)
    with guarded("The scheduler's tasks"):
        _show_tasks(selection.study.directory)


def _show_tasks(study: Path) -> None:
    """The words of each task that the study was given to a scheduler as."""
    for task in read_tasks(study)[1]:
        ended = f"ended with {task.end[0]}" if task.end else "has not ended"
        state = "is at work" if task.is_held else ended
        with st.expander(f"{inline(task.name)} {state}", key=f"task-{task.name}"):
            st.code(task.logs() or "(said nothing yet)", language=None)


def _show_stage(selection: Selection, stages: list[str]) -> None:
    first = stages[0]
    stage = st.segmented_control("Stage", stages, default=first, key="stage") or first
    table = records(selection, stage)
    if stage in PARTS:
        _show_parts(selection, table, *PARTS[stage])
    show_figure(
        training_log_figure(
            table, arms=[*selection.all_arms, *selection.study.config.generators], theme=theme()
        ),
        f"log-{stage}",
        table=lambda: table,
        caption="Training records. Compare shapes; levels of two spaces are not "
        "comparable except for `band_fraction` and `token_accuracy`." + undefined_sentence(table),
    )


def _show_parts(
    selection: Selection, table: pd.DataFrame, name: str, parts: Mapping[str, str], caption: str
) -> None:
    """Numbers that belong together in one panel per arm, where any arm logged them."""
    columns = [column for column in parts.values() if column in table]
    if not columns or table[columns].isna().all(axis=None):
        return
    show_figure(
        parts_figure(table, parts, arms=selection.all_arms, theme=theme()),
        name,
        table=lambda: table[["arm", "step", *columns]],
        caption=caption,
    )


def records(selection: Selection, stage: str) -> pd.DataFrame:
    """The records of one stage of every selected run and generator, each with its name."""
    import pandas as pd

    frames = [
        pd.DataFrame([r for r in metrics_of(run) if r.get("stage") == stage]).assign(arm=arm)
        for arm, run in _writers(selection).items()
    ]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def stage_names(selection: Selection) -> list[str]:
    """Stages with training records in any selected run or generator."""
    writers = _writers(selection).values()
    names = [r.get("stage", "") for run in writers for r in metrics_of(run)]
    return list(dict.fromkeys(name for name in names if name))


def _writers(selection: Selection) -> dict[str, Run | GeneratorRun]:
    """The selected runs, and every generator of the study, by name."""
    generators = generator_runs(selection.study)
    return {
        **selection.runs,
        **{run.generator: run for run in generators if run.seed == selection.seed},
    }


def undefined_sentence(table: pd.DataFrame) -> str:
    """Which logged numbers are not defined in which arm, such as a cosine without a teacher."""
    missing: dict[str, list[str]] = {}
    for arm, own in table.groupby("arm", sort=False):
        for name in own.columns:
            if name not in (NOT_FINITE, "arm") and own[name].isna().all():
                missing.setdefault(name, []).append(str(arm))
    named = "; ".join(f"`{name}` in {', '.join(arms)}" for name, arms in missing.items())
    return f" Not defined: {named}." if named else ""
