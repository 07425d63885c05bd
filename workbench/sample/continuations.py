"""Prompts in, continuations out, with the whole trajectory on request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.machine.context import StageContext
from workbench.machine.memory import halving_batches
from workbench.sample.continued import Continuations
from workbench.sample.generator import Generates, Reading, sample_steps, starting_noise
from workbench.sample.outside import open_generator
from workbench.sample.prompts import Prompts, typed_prompts
from workbench.sample.references import open_references
from workbench.sample.trajectories import Trajectory, join_prompts, write_trajectory
from workbench.store.atomic import publish

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.configs.flow import GuidanceConfig, SamplerConfig
    from models.samplers import SamplerStep
    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter

MOST_ALONE = 32  # up to this many typed prompts are continued one at a time


def continue_prompts(
    generator: Generates,
    corpus: Corpus,
    prompts: Prompts,
    context: StageContext,
    *,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    batch_size: int = 64,
    alone: bool = False,
    trace: bool = False,
    stage: str = "sampling",
) -> Continuations:
    """Continue every prompt.

    The prompts of a batch share one stream of re-noising, and bf16 rounding depends on the batch's
    shape.

    Args:
        generator: of an arm.
        corpus: its tokeniser and window are used.
        prompts: the prompts to continue.
        context: reporter and stop signal.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: for the starting noise and the re-noising.
        batch_size: prompts per batch; halved when memory runs out.
        alone: one prompt at a time, each with its own re-noising, as in playback. A text then does
            not depend on the other prompts.
        trace: keep every step of every prompt.
        stage: name shown with the progress.
    """
    start = time.monotonic()
    readings: list[Reading] = []
    traces: list[Trajectory] = []
    nfe = 0
    size = 1 if alone else batch_size

    def one(rows: slice) -> tuple[Reading, list[Trajectory], int]:
        own = prompts.part(rows)
        noise = starting_noise(generator, own, seed)
        seen, last = [], None
        identity = int(prompts.identities[rows.start]) if alone else None
        for last in sample_steps(generator, own, noise, sampler, guidance, seed, identity):
            context.stop.check(stage)
            if trace:
                seen.append((last, generator.read(last.z_hat, own)))
        assert last is not None
        traced = [_trajectory(seen, own.cuts)] if trace else []
        return generator.read(last.z_t, own), traced, last.nfe

    for rows, (reading, traced, evaluations) in halving_batches(len(prompts), size, one):
        readings.append(reading)
        nfe = evaluations
        traces += traced
        context.reporter.update(stage, rows.stop, len(prompts), {})
    ids = np.concatenate([reading.token_ids for reading in readings])
    continuations, ended = cut_continuations(ids, prompts.cuts, corpus)
    texts = [corpus.tokenizer.decode(ids) for ids in continuations]
    written = [text for reading in readings for text in reading.texts or ()]
    if written:  # a text that was not cut stays as its decoder wrote it
        texts = [
            own if whole else text for own, whole, text in zip(written, ended, texts, strict=True)
        ]
    return Continuations(
        prompts=prompts.texts,
        texts=texts,
        token_ids=continuations,
        ended=ended,
        nfe=nfe,
        seconds=time.monotonic() - start,
        trace=join_prompts(traces) if trace else None,
    )


def _trajectory(seen: Sequence[tuple[SamplerStep, Reading]], cuts: np.ndarray) -> Trajectory:
    """The steps of a batch, with the decoder's reading of each estimate."""
    steps = [step for step, _ in seen]
    return Trajectory(
        t=np.array([step.t for step in steps]),
        nfe=np.array([step.nfe for step in steps]),
        z_t=np.stack([step.z_t.float().cpu().numpy() for step in steps]),
        z_hat=np.stack([step.z_hat.float().cpu().numpy() for step in steps]),
        token_ids=np.stack([reading.token_ids for _, reading in seen]),
        entropy=np.stack([reading.entropy for _, reading in seen]),
        margin=np.stack([reading.margin for _, reading in seen]),
        cuts=cuts,
        texts=None if seen[0][1].texts is None else [reading.texts for _, reading in seen],
    )


def cut_continuations(
    token_ids: np.ndarray, cuts: np.ndarray, corpus: Corpus
) -> tuple[list[np.ndarray], np.ndarray]:
    """Tokens from each cut up to the first end-of-text, and whether there was one."""
    eot = corpus.tokenizer.eot_id
    continuations, ended = [], np.zeros(len(cuts), bool)
    for row, cut in enumerate(cuts):
        ids = token_ids[row, cut:]
        stops = np.flatnonzero(ids == eot)
        ended[row] = len(stops) > 0
        continuations.append(ids[: stops[0]] if len(stops) else ids)
    return continuations, ended


def sample_prompts(
    run: Run,
    texts: list[str],
    context: StageContext,
    *,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    seed: int = 0,
    trace: bool = False,
    adapter: Adapter | None = None,
) -> Continuations:
    """Continue a user's prompts with a run's generator; omitted settings default to the run's own.

    Up to `MOST_ALONE` prompts run one at a time, so each text is the same as in playback and does
    not depend on the other prompts. More prompts run in batches, for speed.

    Raises:
        ValueError: a prompt does not fit, or a setting is out of range.
        InputError: the run is not trained yet, or its adapter was not named.
    """
    corpus = run.study.corpus
    sampling = run.config.sampling
    asked_before = (run.study.references_dir / "prompts.parquet").is_file()
    known = open_references(run.study.references_dir) if asked_before else None
    prompts = typed_prompts(corpus, texts, known)
    changes: dict[str, Any] = {"num_steps": num_steps, "name": sampler}
    solver = replace(sampling.sampler, **{k: v for k, v in changes.items() if v is not None})
    scale = sampling.guidance_scales[0] if guidance_scale is None else guidance_scale
    result = continue_prompts(
        open_generator(run, context.place, adapter),
        corpus,
        prompts,
        context,
        sampler=solver,
        guidance=sampling.guidance(scale),
        seed=seed,
        batch_size=sampling.batch_size,
        alone=len(texts) <= MOST_ALONE,
        trace=trace,
    )
    if trace:
        store_trace(run, result, solver, scale, seed)
    return result


def store_trace(
    run: Run,
    result: Continuations,
    sampler: SamplerConfig,
    guidance_scale: float,
    seed: int,
) -> Path:
    """Store the trajectory of a user's prompts under the run and return its folder."""
    assert result.trace is not None
    stamp = time.strftime("%Y%m%d-%H%M%S")
    directory = run.directory / "traces" / f"{stamp}-{sampler.name}-seed-{seed}"
    with publish(directory, meta={"kind": "trace"}) as folder:
        write_trajectory(
            folder / "trajectory.safetensors",
            result.trace,
            result.prompts,
            result.texts,
            guidance_scale,
        )
    return directory
