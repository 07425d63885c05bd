"""From a prompt and settings to the player's lanes, cached for all sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from workbench.sample.branches import Branch
from workbench.sample.playback import Following, PlaybackView
from workbench.study.folders import Run, open_study
from workbench.ui.kit.cached import opened, space_of, weights_stamp
from workbench.ui.player.build import Lane


def follow(run: Run, view: PlaybackView, branch: Branch | None = None) -> Following:
    """Trace one arm and read its moments; computed once for all sessions."""
    return _follow(str(run.study.directory), run.arm, run.seed, weights_stamp(run), view, branch)


@st.cache_resource(max_entries=48, show_spinner="Denoising, step by step …", show_time=True)
def _follow(
    directory: str, arm: str, seed: int, weights: str, view: PlaybackView, branch: Branch | None
) -> Following:
    run = open_study(Path(directory)).run(arm, seed)
    return opened(run.study).follower(run).follow(view, branch)


def lanes_of(
    followed: dict[str, tuple[Run, Following, str]], bases: dict[str, Following], palette: Any
) -> list[Lane]:
    """Lanes for the player.

    Args:
        followed: title -> (run, what was followed, subtitle).
        bases: arm -> the run itself, whose axes the arm's branches share.
        palette: arm -> colour.
    """
    from analyses.maps.linear_basis import fit_linear_basis

    lanes = []
    axes = {}
    for title, (run, found, subtitle) in followed.items():
        real = space_of(run)
        cloud = real.tokens[real.token_is_target]
        if run.arm not in axes:
            path = bases[run.arm].track
            width = path.z_t.shape[-1]
            axes[run.arm] = fit_linear_basis(
                [cloud, path.z_t[:, path.cut :].reshape(-1, width)], num_components=2
            )
        lanes.append(
            Lane(
                title=title,
                subtitle=subtitle,
                colour=palette[run.arm],
                track=found.track,
                tokens=found.tokens,
                is_text=found.is_text,
                commit=found.commit,
                far=found.far,
                basis=axes[run.arm],
                cloud=cloud,
                curves=found.curves,
                facts=found.facts,
            )
        )
    return lanes
