"""Fewer evaluations for the same text: other samplers against the example's own course.

The networks are those of the example in the repository, so its texts can be scored. Every repeat
continues other held-out prompts, and these texts are both timed and scored: nats per token under
the study's judge, the headline score. All samplers start from the same noise.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from analyses.statistics.intervals import BootstrapConfig, bootstrap
from benchmarks.measuring import Costs, Row, Setting, costs_of, ratio_of_costs
from models.configs.flow import SamplerConfig
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.example import ARCHIVE, NAME
from workbench.sample.continuations import continue_prompts
from workbench.sample.generator import load_generator
from workbench.sample.prompts import held_out_prompts
from workbench.sample.references import open_references
from workbench.score.judge import Judge
from workbench.study.folders import Run, open_study

ARM = "none"  # its networks need no teacher's states
PROMPTS, QUICK_PROMPTS, REPEATS = 40, 4, 3
GOAL = 4.0

Write = Callable[[slice], list[np.ndarray]]


def equal_quality(setting: Setting) -> Iterator[Row]:
    """A quarter of the evaluations, second-order without churn or Euler as before; and half."""
    count = QUICK_PROMPTS if setting.quick else PROMPTS
    with TemporaryDirectory(prefix="benchmark-") as name:
        with tarfile.open(ARCHIVE) as tar:
            tar.extractall(name, filter="data")
        study = open_study(Path(name) / NAME)
        run, place = study.run(ARM, 0), find_placement("cpu")
        own = run.config.sampling.sampler
        quarter = max(1, own.num_steps // 4)
        ways = {
            "peer": own,
            "second-order multistep": replace(own, name="multistep", num_steps=quarter, churn=0.0),
            "the same sampler": replace(own, num_steps=quarter),
            "the same sampler, half": replace(own, num_steps=max(1, own.num_steps // 2)),
        }
        costs, texts = _by_turns({key: writer(run, way) for key, way in ways.items()}, count)
        judge = Judge(study, place, count * REPEATS)
        nats = {key: judge.nats_per_token(found) for key, found in texts.items()}
    full = ways.pop("peer")
    for key, way in ways.items():
        gate, passed = within(nats[key], nats["peer"])
        yield Row(
            stage=f"sampling at equal quality: {key}, {way.num_steps} evaluations",
            peer=f"{full.name}, {full.num_steps} evaluations, churn {full.churn:g} (the example's)",
            ratio=ratio_of_costs(costs[key], costs["peer"]),
            goal=GOAL,
            gate=gate,
            gate_passed=passed,
        )


def writer(run: Run, sampler: SamplerConfig) -> Write:
    """Continues some of the held-out prompts with a run's networks."""
    place = find_placement("cpu")
    generator, corpus = load_generator(run, place), run.study.corpus
    known = open_references(run.study.references_dir)
    prompts = held_out_prompts(corpus, known.indices, known.cuts, known.prompts, joint=False)
    sampling = run.config.sampling

    def write(rows: slice) -> list[np.ndarray]:
        return continue_prompts(
            generator,
            corpus,
            prompts.part(rows),
            StageContext(place),
            sampler=sampler,
            guidance=sampling.guidance(sampling.guidance_scales[0]),
            seed=run.seed,
        ).token_ids

    return write


def within(ours: np.ndarray, peers: np.ndarray) -> tuple[str, bool]:
    """Whether our mean is not above the 95 % interval of the peer's, in words and as a bool."""
    known, mean = bootstrap(peers, BootstrapConfig()), float(np.nanmean(ours))
    high = known.high or 0.0
    words = f"nats per token {mean:.2f}, of the peer {known.mean:.2f} (at most {high:.2f})"
    return words, mean <= high


def _by_turns(
    writers: dict[str, Write], count: int
) -> tuple[dict[str, Costs], dict[str, list[np.ndarray]]]:
    """Costs per repeat and all texts of every writer; each repeat has its own prompts."""
    costs: dict[str, Costs] = {key: [] for key in writers}
    texts: dict[str, list[np.ndarray]] = {key: [] for key in writers}
    for repeat in range(REPEATS):
        rows = slice(repeat * count, (repeat + 1) * count)
        for key, write in writers.items():
            costs[key].append(costs_of(partial(_extend, texts[key], write, rows)))
    return costs, texts


def _extend(texts: list[np.ndarray], write: Write, rows: slice) -> None:
    texts.extend(write(rows))
