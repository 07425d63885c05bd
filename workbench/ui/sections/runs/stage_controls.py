"""Single stages of a run, and what is left of its study: how far each is, and a button to start it.

A stage that is done has no button: its results would come out the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.study.folders import Run
from workbench.study.generators import GeneratorRun, find_writer, generator_runs
from workbench.ui.kit.cached import weights_stamp
from workbench.ui.kit.escape import inline
from workbench.ui.kit.scan import stamp
from workbench.ui.sections.shared.job_cards import start_job, watch_jobs

if TYPE_CHECKING:
    from workbench.pipeline.stages import Stage, StageState
    from workbench.ui.kit.selection import Selection


def show_stages(selection: Selection) -> None:
    """The study's rest, the stages of one of its runs, and the jobs that make them."""
    if selection.is_example:
        st.info("The example is finished, and kept without what training it further would need.")
        return
    st.caption(
        "Each row stands on those above it. A stage runs in a process of its own and goes on from "
        "its last checkpoint; one job runs at a time, others wait."
    )
    _offer_rest(selection)
    own = selection.study
    writers: list[Run | GeneratorRun] = [*own.runs, *generator_runs(own)]
    runs = {run.name: run for run in writers}
    first = list(runs).index(next(iter(selection.runs.values())).name)
    name = st.selectbox("Run or generator", list(runs), index=first, key="stage-run")
    if not selection.study.corpus_dir.is_dir():
        st.info("Its corpus is not prepared yet: let the whole study go on first.")
    else:
        _show_run(selection, runs[name])
    watch_jobs()


def _offer_rest(selection: Selection) -> None:
    """Whether the study is finished, and a button that goes on with it where it is not."""
    study = selection.study
    words, button = st.columns([0.75, 0.25], vertical_alignment="center")
    if (study.directory / "comparison.json").is_file():
        words.markdown(f"**{inline(selection.name)}** :green[is done]: its arms are compared")
        label = "Check that it is up to date"
    else:
        words.markdown(f"**{inline(selection.name)}** :orange[is unfinished]")
        label = "Go on with the study"
    if button.button(label, key="stage-study", width="stretch"):
        start_job(["study", "--out", str(study.directory)], selection.name, study.directory)


def _show_run(selection: Selection, run: Run | GeneratorRun) -> None:
    from workbench.pipeline.stages import stages_of
    from workbench.probes.catalogue import PROBES

    chosen: list[str] = []
    if isinstance(run, Run):
        chosen = st.multiselect(
            "Probes to run",
            list(PROBES),
            key="stage-probes",
            placeholder="those of the study",
            help="What each asks: `python -m workbench probes`",
        )
    for stage in stages_of(run):
        if stage.verb:
            state = _state(str(run.directory), stage.name, tuple(chosen), _stamps(run))
            _show_stage(selection, run, stage, state, chosen)


def _show_stage(
    selection: Selection,
    run: Run | GeneratorRun,
    stage: Stage,
    state: StageState,
    probes: Sequence[str],
) -> None:
    words, far, button = st.columns([0.4, 0.35, 0.25], vertical_alignment="center")
    words.markdown(f"**{stage.title}** :gray[makes {stage.makes}]")
    colour = "green" if state.is_done else "orange" if state.done else "gray"
    progress = f"{state.done:,} of {state.total:,} {state.unit}"
    far.markdown(f":{colour}[{'done' if state.is_done else 'to do'}]: {progress}")
    clicked = button.button(
        "Done" if state.is_done else "Start" if not state.done else "Go on",
        key=f"start-{stage.name}", disabled=state.is_done, width="stretch",
    )  # fmt: skip
    if clicked:
        title = f"{selection.name}/{run.name}: {stage.title.lower()}"
        arguments = stage_arguments(run, stage, probes)
        start_job(arguments, title, run.study.directory, f"{run.name} {stage.name}")


def stage_arguments(run: Run | GeneratorRun, stage: Stage, probes: Sequence[str] = ()) -> list[str]:
    """The verb of one stage of a run or a generator, with its arguments."""
    from workbench.probes.catalogue import probe_names

    verb, *options = stage.verb
    if stage.name == "probes":
        names = list(probes) or probe_names(run.study.config.base.evaluation.probes)
        options += ["--only", ",".join(names)]
    return [verb, str(run.directory), *options]


def _stamps(run: Run | GeneratorRun) -> str:
    """Changes when any stage of the run or generator does."""
    folders = (run.samples_dir, run.trajectories_dir, run.scores_dir)
    files = [
        *(folder / "manifest.json" for folder in folders),
        *sorted((run.directory / "probes").glob("*.json")),
    ]
    return repr([weights_stamp(run), [stamp(file) for file in (*files, run.evaluation_file)]])


@st.cache_data(max_entries=64, show_spinner="Looking how far it is …")
def _state(directory: str, stage: str, probes: tuple[str, ...], stamps: str) -> StageState:
    from workbench.pipeline.stages import STAGES

    return STAGES[stage].state(find_writer(directory), probes)
