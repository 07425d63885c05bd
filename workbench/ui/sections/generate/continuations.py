"""Continuations for the page Generate, cached by run and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.first_texts import sample_files
from workbench.study.folders import Run, Study, open_study
from workbench.ui.kit.cached import (
    context,
    corpus_of,
    generator_of,
    read_table,
    references_of,
    weights_stamp,
)

if TYPE_CHECKING:
    from workbench.sample.continued import Continuations

MOST_PROMPTS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class WritingView:
    """What is asked.

    Attributes:
        prompts: the reader's own; empty takes `count` held-out ones.
        count: see `prompts`.
        sampler: solver.
        num_steps: intervals.
        guidance_scale: 1 is off.
        seed: of the starting noise.
    """

    prompts: tuple[str, ...]
    count: int
    sampler: str
    num_steps: int
    guidance_scale: float
    seed: int


def write(run: Run, view: WritingView, row: int) -> Continuations:
    """Continue one of the prompts, whose text does not depend on the others."""
    return _write(str(run.study.directory), run.arm, run.seed, weights_stamp(run), view, row)


@st.cache_resource(max_entries=128, show_spinner=False)
def _write(
    directory: str, arm: str, seed: int, weights: str, view: WritingView, row: int
) -> Continuations:
    from workbench.sample.continuations import continue_prompts
    from workbench.sample.prompts import held_out_prompts, typed_prompts

    run = open_study(Path(directory)).run(arm, seed)
    corpus, references = corpus_of(run.study), references_of(run.study)
    if view.prompts:
        prompts = typed_prompts(corpus, [view.prompts[row]], references)
    else:
        rows = slice(row, row + 1)
        prompts = held_out_prompts(
            corpus,
            references.indices[rows],
            references.cuts[rows],
            references.prompts[rows],
            joint=run.config.context.joint,
        )
    return continue_prompts(
        generator_of(run),
        corpus,
        prompts,
        context(),
        sampler=replace(run.config.sampling.sampler, name=view.sampler, num_steps=view.num_steps),
        guidance=run.config.sampling.guidance(view.guidance_scale),
        seed=view.seed,
        alone=True,
    )


def baseline_texts(study: Study, count: int) -> dict[str, list[str]]:
    """What the other generators of the study wrote after the same held-out prompts."""
    arms = study.config.arms
    files = {name: file for name, file in sample_files(study).items() if name not in arms}
    files["autoregressive"] = study.baselines_dir / "autoregressive.parquet"
    return {
        name: read_table(file)["continuation"].head(count).tolist()
        for name, file in files.items()
        if file.is_file()
    }
