"""The player on the page, and the same as a file that plays offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.sample.writing_playback import MASK
from workbench.ui.kit.cached import references_of
from workbench.ui.kit.escape import inline
from workbench.ui.kit.theme import colours, theme
from workbench.ui.player.build import player_page
from workbench.ui.sections.playback.lanes import lanes_of, written_lanes

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.playback.followed_arms import Followed

CLOCKS = {
    "quantile": "Steps are placed by quantiles of the training times: t moves little where "
    "training looked most and jumps at the ends; the last step goes to 1.",
    "uniform": "Steps are equal strides of t.",
}


def prompt_of(selection: Selection, followed: Followed) -> str:
    """The prompt's text, typed or held out."""
    view = followed.view
    return view.typed or references_of(selection.study).prompts[view.row]


def show_player(selection: Selection, followed: Followed) -> None:
    """Draw the player and offer it as a file."""
    palette = colours([*selection.all_arms, *selection.study.config.generators])
    lanes = lanes_of(followed.lanes, followed.bases, palette)
    lanes += written_lanes(followed.written, palette)
    page = _parts(selection, followed)
    st.iframe(player_page(lanes, **page), height="content", alt="Denoising player")
    st.caption(
        f"{_same_noise(followed)} Dots: words on the two main axes of that arm's "
        "latents; grey: real text; thick line: the mean. Dashed ring: farther from real latents "
        "than 95 % of real ones are from each other. Italic words may still change. Underlined: "
        "facts of the prompt. The two maps share no axes."
        + (
            f" Generators without latents share the clock, by their share of the way: {MASK} is a "
            "mask; curves judge the present guess."
            if followed.written
            else ""
        )
        + (f" Not trained yet: {', '.join(followed.untrained)}." if followed.untrained else "")
    )
    st.download_button(
        "Export: this playback as one HTML file that plays offline",
        lambda: player_page(lanes, **page, standalone=True),
        file_name=f"playback-{selection.name.replace('/', '-')}.html",
        mime="text/html",
        on_click="ignore",
        icon=":material/download:",
    )


def _same_noise(followed: Followed) -> str:
    """From what the lanes start, and what the dots of an arm from outside are."""
    outside = [title for title, (_, own, _) in followed.lanes.items() if not own.track.aligned]
    if not outside:
        return "Both arms start from the same noise."
    return (
        f"{inline(outside[0])}: its own noise, latents and decoder; its dots are latents and no "
        "words."
    )


def _parts(selection: Selection, followed: Followed) -> dict[str, Any]:
    """What the player says beside its lanes."""
    view, run = followed.view, next(iter(selection.runs.values()))
    reference = "" if view.typed else references_of(selection.study).continuations[view.row]
    return {
        "prompt": prompt_of(selection, followed),
        "reference": reference,
        "theme": theme(),
        "title": f"Playback: {selection.name}",
        "far_limit": max(found.far_limit for found in followed.bases.values()),
        "clock": CLOCKS[run.config.sampling.sampler.grid],
        "note": followed.without_fidelity(),
    }
