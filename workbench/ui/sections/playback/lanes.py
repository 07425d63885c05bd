"""From a prompt and settings to the player's lanes, cached for all sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from workbench.config.settings import fingerprint
from workbench.probes.opened_study import version_of
from workbench.sample.branches import Branch
from workbench.sample.playback import Following, PlaybackView
from workbench.sample.writing_playback import WritingFollowed
from workbench.study.folders import Run, open_study
from workbench.study.generators import GeneratorRun
from workbench.ui.kit.cached import context, opened, weights_stamp
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


def follow_written(run: GeneratorRun, view: PlaybackView, num_moments: int) -> WritingFollowed:
    """Continue one prompt with a generator, step by step; computed once for all sessions."""
    place = (str(run.study.directory), run.generator, run.seed)
    settings = fingerprint(run.study.config.generators[run.generator])
    key = f"{version_of(run.model_dir)} {settings}"
    return _follow_written(*place, key, view, num_moments)


@st.cache_resource(max_entries=48, show_spinner="Writing, step by step …", show_time=True)
def _follow_written(
    directory: str, name: str, seed: int, weights: str, view: PlaybackView, num_moments: int
) -> WritingFollowed:
    from workbench.sample.writing_playback import WritingFollower
    from workbench.train.generators import load_trained

    run = GeneratorRun(open_study(Path(directory)), name, seed)
    known = opened(run.study)
    follower = WritingFollower(
        run=run,
        model=load_trained(run, context().place),
        corpus=known.corpus,
        references=known.references,
        language_model=known.language_model(),
    )
    return follower.follow(view, num_moments, context())


def written_lanes(written: Mapping[str, WritingFollowed], palette: Mapping[str, str]) -> list[Lane]:
    """Lanes of generators without latents.

    Args:
        written: generator -> what it wrote.
        palette: generator -> colour.
    """
    return [
        Lane(
            title=name,
            subtitle="own settings of writing",
            colour=palette[name],
            track=None,
            tokens=found.tokens,
            is_text=found.is_text,
            commit=found.commit,
            far=None,
            basis=None,
            cloud=None,
            curves=found.curves,
            facts=found.facts,
            t=found.t,
            nfe=found.nfe,
            entropy=found.entropy,
        )
        for name, found in written.items()
    ]


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
        cloud = opened(run.study).real_latents(run, of_targets=True)
        if run.arm not in axes:
            path = bases[run.arm].track.path
            axes[run.arm] = fit_linear_basis(
                [cloud, path.reshape(-1, path.shape[-1])], num_components=2
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
