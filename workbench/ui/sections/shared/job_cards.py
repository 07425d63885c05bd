"""Jobs as pages show them: an offer to start the demo, and a card that follows each open job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.machine.jobs import Job, StageProgress, list_jobs, read_progress, submit
from workbench.store.paths import runs_directory
from workbench.ui.kit.error_card import show_error
from workbench.ui.kit.escape import inline

WATCH_SECONDS = 2
SHOWN_ENDED = 5
BAND_FRACTION = (
    "The loss says little by itself: *band\\_fraction* is where the flow's loss stands between its "
    "floors, 1 = it knows the latents' covariance and no more, 0 = it knows every mean."
)
WORDS = {
    "starting": ("is starting", "gray"),
    "queued": ("waits for the job before it", "gray"),
    "running": ("is running", "blue"),
    "done": ("is done", "green"),
    "stopped": ("was stopped; start it again to go on", "orange"),
    "failed": ("failed", "red"),
}


def offer_demo() -> None:
    """Buttons that start the demo (about ten minutes) or a toy study (a minute)."""
    left, right = st.columns(2)
    if left.button("Start the demo (ten minutes on two cores)", type="primary", width="stretch"):
        start_job(["study", "--preset", "demo"], "demo", runs_directory() / "demo")
    if right.button("A toy study first (a minute; its scores mean nothing)", width="stretch"):
        start_job(["study", "--preset", "smoke"], "toy study", runs_directory() / "smoke")
    watch_jobs()


def start_job(arguments: list[str], title: str, study: Path, part: str = "") -> None:
    """Put a study, or a part of one, in the queue and say so."""
    try:
        submit(arguments, title, study, part)
        st.toast(f"{title}: started", icon=":material/rocket_launch:")
    except (WorkbenchError, OSError) as error:
        show_error(title, error)


@st.fragment(run_every=WATCH_SECONDS)
def watch_jobs() -> None:
    """Every open job and the last few that ended, looked at anew every two seconds.

    When a job ends while it is watched, the whole page runs again to show what it made.
    """
    jobs = list_jobs()
    still_open = {job.name for job in jobs if job.is_open}
    before = st.session_state.get("_open_jobs", set())
    st.session_state["_open_jobs"] = still_open
    if before - still_open:
        st.rerun(scope="app")
    for job in [job for job in jobs if job.name in still_open]:
        show_job(job)
    if still_open:
        st.caption(BAND_FRACTION)
    ended = [job for job in jobs if job.name not in still_open][-SHOWN_ENDED:]
    if ended:
        st.caption("Ended: " + "; ".join(_one_line(job) for job in reversed(ended)))
    for job in resumable(jobs):
        if st.button(f"Resume {job.title}", key=f"resume-{job.name}", icon=":material/resume:"):
            start_job(job.arguments, job.title, job.study, job.part)


def resumable(jobs: Sequence[Job]) -> list[Job]:
    """The last job of each study, or part of one, where that was stopped."""
    last = {(job.study, job.part): job for job in jobs}
    return [job for job in last.values() if job.state == "stopped" and job.study.is_dir()]


def _one_line(job: Job) -> str:
    text = f"{inline(job.title)} {WORDS[job.state][0]}"
    return f"{text} ({inline(job.last_words[:160])})" if job.last_words else text


def show_job(job: Job) -> None:
    """One job: state, stages with their numbers and time left, a button to stop it."""
    words, colour = WORDS[job.state]
    with st.container(border=True):
        head, button = st.columns([0.8, 0.2], vertical_alignment="center")
        head.markdown(f"**{inline(job.title)}** :{colour}[{words}] since {_ago(job.created)}")
        if button.button("Stop", key=f"stop-{job.name}", icon=":material/stop_circle:"):
            job.stop()
            st.toast("It saves and stops; the same study started again goes on from there.")
        stages, notes = read_progress(job)
        for stage in stages:
            if stage.share < 1 or stage is stages[-1]:
                st.progress(stage.share, text=_stage_text(stage))
        done = [stage.stage for stage in stages if stage.share >= 1]
        if done:
            st.caption("Done: " + inline(", ".join(done[-8:])))
        for note in notes[-3:]:
            st.caption(inline(note))


def _stage_text(stage: StageProgress) -> str:
    numbers = "  ".join(f"{key} {_number(value)}" for key, value in stage.info.items())
    left = stage.seconds_left
    time_left = f"  about {_duration(left)} left" if left is not None else ""
    return inline(f"{stage.stage}: {stage.done} of {stage.total}  {numbers}{time_left}")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _ago(created: float) -> str:
    return _duration(max(0.0, time.time() - created))
