"""Playback: one prompt, one noise, both arms, one clock; and what a fork would have made of it."""

from typing import Any

import streamlit as st

from workbench.report.findings import selected_rows
from workbench.report.findings.shown import playback_numbers
from workbench.sample.follow import FIDELITY, Following, PlaybackView
from workbench.sample.playback import Fork, ForkKind
from workbench.ui.kit.cached import references_of
from workbench.ui.kit.empty_state import require_runs, selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.kit.sidebar import Selection
from workbench.ui.kit.theme import colours, theme
from workbench.ui.player.build import player_page
from workbench.ui.sections.lessons import predict_first, settling_lesson
from workbench.ui.sections.player_lanes import follow, lanes_of

HEIGHT = 890
PROMPT = "prompt"
CLOCKS = {
    "quantile": "Steps are placed by quantiles of the training times: t moves little where "
    "training looked most and jumps at the ends; the last step goes to 1.",
    "uniform": "Steps are equal strides of t.",
}
FORKS: tuple[ForkKind, ...] = ("renoise", "nudge", "blend", "guidance")


def asked_prompt(count: int) -> int:
    """Row of the prompt that the address asks for by its number, or the first."""
    number = st.query_params.get(PROMPT, "1")
    return int(number) - 1 if number.isdecimal() and 1 <= int(number[:9]) <= count else 0


def choose_view(selection: Selection) -> PlaybackView:
    """Prompt, noise and solver; all of it is in the address."""
    from models.samplers import SAMPLERS

    sampling = selection.study.config.base.sampling
    references = references_of(selection.study)
    prompts = [f"{n + 1}. {text}" for n, text in enumerate(references.prompts)]
    left, right = st.columns([0.7, 0.3])
    typed = right.text_input(
        "or your own", key="typed", bind="query-params", max_chars=400,
        placeholder="The baker found a red key.",
    ).strip()  # fmt: skip
    row = left.selectbox(
        "Prompt (held out from training)",
        range(len(prompts)),
        index=asked_prompt(len(prompts)),
        format_func=lambda n: prompts[n],
        key=f"prompt-of-{selection.name}",
        disabled=bool(typed),
    )
    if typed:
        left.caption("Not in force: your own prompt is. Clear it to take a held-out one.")
    # By its number: a bound select box would write the whole text into the address.
    st.query_params[PROMPT] = str(int(row or 0) + 1)
    first, second, third, fourth = st.columns(4)
    return PlaybackView(
        row=-1 if typed else int(row or 0),
        typed=typed,
        sampler=first.selectbox("Sampler", list(SAMPLERS), key="sampler", bind="query-params"),
        num_steps=second.slider(
            "Steps", 4, 100, min(100, sampling.sampler.num_steps), key="steps", bind="query-params"
        ),
        guidance_scale=third.slider(
            "Guidance (1 = off)", 0.0, 8.0, float(sampling.guidance_scales[0]), 0.25,
            key="guidance", bind="query-params",
        ),
        seed=int(fourth.number_input(
            "Noise seed", 0, 9999, selection.seed, key="noise", bind="query-params"
        )),
    )  # fmt: skip


def without_fidelity(view: PlaybackView, bases: dict[str, Following]) -> str:
    """Why there is no curve of fidelity; empty where there is one."""
    if any(FIDELITY in found.curves for found in bases.values()):
        return ""
    if view.typed:
        return "No curve of fidelity: no expected facts are known for a typed prompt."
    return "No curve of fidelity: no fact of this prompt returns in what a human wrote next."


def choose_fork(selection: Selection, view: PlaybackView) -> tuple[str, Fork] | None:
    """Which arm to fork, where, and how; in the address too."""
    question = "Fork: change one thing at a step and see the other future"
    if not st.toggle(question, key="forked", bind="query-params"):
        return None
    arm_column, step_column, kind_column, how, seed_column = st.columns([1, 1.2, 1, 1.4, 0.8])
    arm = arm_column.selectbox("Arm", selection.arms, key="fork-arm", bind="query-params")
    last = view.num_steps - 1
    step = step_column.slider(
        "At step", 1, last, view.num_steps // 2, key="fork-at", bind="query-params"
    )
    kind: ForkKind = kind_column.selectbox("Change", FORKS, key="fork-by", bind="query-params")
    seed = int(
        seed_column.number_input("Fork seed", 0, 9999, 1, key="fork-seed", bind="query-params")
    )
    if kind == "renoise":
        if step == 1:
            return arm, Fork(step=step, kind=kind, back_to=0, seed=seed)
        back = how.slider(
            "Back to step", 0, step - 1, step // 2, key="fork-back", bind="query-params"
        )
        return arm, Fork(step=step, kind=kind, back_to=back, seed=seed)
    if kind == "guidance":
        scale = how.slider(
            "Guidance from here", 0.0, 8.0, 3.0, 0.25, key="fork-scale", bind="query-params"
        )
        return arm, Fork(step=step, kind=kind, guidance_scale=scale)
    largest = 1.0 if kind == "blend" else 3.0
    label = "Share of the other noise" if kind == "blend" else "Size (latent std)"
    strength = how.slider(label, 0.0, largest, 0.5, 0.05, key=f"fork-{kind}", bind="query-params")
    return arm, Fork(step=step, kind=kind, strength=strength, seed=seed)


st.title("Playback")
st.caption(
    "Both arms start from the same noise and are read by their own decoder at every step. Watch "
    "which words settle first (violet = early, yellow = late) and whether a fluent text drops the "
    "prompt's facts. Which arm settles earlier, reconstruction does not say."
)
selection = selection_or_stop()
runs = require_runs(selection)
view = choose_view(selection)
fork = choose_fork(selection, view)

followed: dict[str, tuple] = {}
bases: dict[str, Following] = {}
for arm, run in runs.items():
    with guarded(f"Arm {arm}"):
        bases[arm] = follow(run, view)
        followed[arm] = (run, bases[arm], f"seed {view.seed}, guidance {view.guidance_scale:g}")
if fork is not None and fork[0] in bases:
    with guarded("The fork"):
        arm, change = fork
        followed[f"{arm}, forked"] = (
            runs[arm], follow(runs[arm], view, change), change.describe()
        )  # fmt: skip
if not followed:
    st.stop()

references = references_of(selection.study)
clock = CLOCKS[next(iter(runs.values())).config.sampling.sampler.grid]
page: dict[str, Any] = {
    "prompt": view.typed or references.prompts[view.row],
    "reference": "" if view.typed else references.continuations[view.row],
    "theme": theme(),
    "title": f"Playback: {selection.name}",
    "far_limit": max(found.far_limit for found in bases.values()),
    "clock": clock,
    "note": without_fidelity(view, bases),
}
if not predict_first("playback", lambda: settling_lesson(bases, page["prompt"])):
    st.stop()
lanes = lanes_of(followed, bases, colours(selection.all_arms))
st.iframe(player_page(lanes, **page), height=HEIGHT, alt="Denoising player")
st.caption(
    "Dots are target tokens on the two main axes of that arm's latents and path (linear, so noise "
    "is not thrown onto clusters); grey is real text, the thick line the mean. A dashed ring marks "
    "a latent farther from real ones than 95 % of real ones are from each other. Italic words may "
    f"still change. Maps of two arms share no axes: compare shapes, not places. {clock}"
)
st.download_button(
    "Export: this playback as one HTML file that plays offline",
    lambda: player_page(lanes, **page, standalone=True),
    file_name=f"playback-{selection.name.replace('/', '-')}.html",
    mime="text/html",
    on_click="ignore",
    icon=":material/download:",
)
keep_this(
    selection,
    "playback",
    lambda: playback_numbers(bases, view, selection.seed),
    chosen=lambda: None if view.typed else selected_rows("prompts", [view.row], [page["prompt"]]),
    shown={
        "sampler": view.sampler, "steps": view.num_steps, "guidance": view.guidance_scale,
        "noise": view.seed,
    },
)  # fmt: skip
