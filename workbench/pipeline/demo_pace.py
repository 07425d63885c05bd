"""Predict how long the demo takes here, and lower its number of steps if that is too long.

A few seconds of real flow steps are timed and compared with the machine on which the preset was
measured. Both arms always get the same number of steps.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from data.batches import BatchConfig, BatchPlan
from models.dit import TextDiT
from workbench.machine.devices import set_threads
from workbench.machine.seeds import step_generator
from workbench.machine.workers import share_machine
from workbench.study.time_estimate import REFERENCE_RUN, REFERENCE_SHARED, REFERENCE_STEP
from workbench.train.flow import FlowTask
from workbench.train.latents import Latents
from workbench.train.loop import build_state, train_step

if TYPE_CHECKING:
    from workbench.config.study import StudyConfig
    from workbench.machine.context import StageContext
    from workbench.machine.devices import Placement
    from workbench.machine.workers import Share

TIMED_SECONDS, LEAST_STEPS = 5.0, 3
TIMED_TEXTS = 256
BUDGET = 8.1 * 60  # seconds of the ten minutes that are left once everything is installed
LEAST_SHARE = 1 / 3  # of the preset's flow steps; below that neither arm writes
STEPS_APART = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The cost of the demo on this machine.

    Attributes:
        ratio: seconds per step here, divided by those on the reference machine.
        rounds: how many arms run one after another: 1 if each has its own core.
        num_steps: flow steps that fit.
        wanted: flow steps of the preset.
    """

    ratio: float
    rounds: int
    num_steps: int
    wanted: int

    def seconds(self, num_steps: int) -> float:
        """Seconds of the whole demo with this many flow steps."""
        run = REFERENCE_RUN + num_steps * REFERENCE_STEP
        return self.ratio * (REFERENCE_SHARED + self.rounds * run)

    def __str__(self) -> str:
        minutes = f"about {self.seconds(self.num_steps) / 60:.0f} minutes"
        if self.num_steps == self.wanted:
            return f"the demo will take {minutes} here"
        full = self.seconds(self.wanted) / 60
        return (
            f"the demo will take {minutes} here, with {self.num_steps:,} flow steps in each arm "
            f"instead of {self.wanted:,} (these would take {full:.0f}): both arms write worse than "
            "in the README; `study --preset demo` trains all steps"
        )


def pace(config: StudyConfig, context: StageContext) -> Pace:
    """Time the demo's flow here, on one arm's threads; takes about five seconds."""
    before, share = torch.get_num_threads(), _share(config, context.place)
    set_threads(share.threads)
    try:
        seconds = seconds_per_step(config, context)
    finally:
        set_threads(before)
    return fit_steps(config, seconds / REFERENCE_STEP, share.workers)


def _share(config: StudyConfig, place: Placement) -> Share:
    num_runs = len(config.arms) * len(config.seeds)
    return share_machine(num_runs, config.workers, config.threads, place.device.type)


def fit_steps(config: StudyConfig, ratio: float, workers: int) -> Pace:
    """The number of flow steps that fit the budget, in hundreds, at most the preset's."""
    num_runs = len(config.arms) * len(config.seeds)
    wanted = config.base.flow_training.num_steps
    free = Pace(ratio=ratio, rounds=math.ceil(num_runs / workers), num_steps=0, wanted=wanted)
    left = (BUDGET / ratio - REFERENCE_SHARED) / free.rounds - REFERENCE_RUN
    fitting = int(left / REFERENCE_STEP) // STEPS_APART * STEPS_APART
    least = math.ceil(wanted * LEAST_SHARE / STEPS_APART) * STEPS_APART
    return dataclasses.replace(free, num_steps=min(wanted, max(least, fitting)))


def seconds_per_step(config: StudyConfig, context: StageContext) -> float:
    """Median seconds per step of the demo's flow, on random latents of the right shape."""
    run, place = config.run(next(iter(config.arms)), config.seeds[0]), context.place
    window, width = run.corpus.window, run.vae.latent_width
    rng = np.random.default_rng(0)
    shape = (TIMED_TEXTS, 1, window, width)
    noise = rng.standard_normal(shape).astype(np.float16)
    cuts = np.full((TIMED_TEXTS, 1), window // 2)
    latents = Latents(noise, np.full(shape, 0.1, np.float16), cuts)
    sizes = dataclasses.replace(run.dit, latent_width=width, window=window, repa_depth=None)
    dit = TextDiT(sizes, step_generator(place.device, "pace")).to(place.device)
    training = run.flow_training
    plan = BatchPlan(
        np.full(TIMED_TEXTS, window), window, BatchConfig(batch_size=training.batch_size), 0
    )
    task = FlowTask(dit, run, latents, plan, place)
    state, objective = build_state(task, training, place)
    times: list[float] = []
    end = time.monotonic() + TIMED_SECONDS
    while time.monotonic() < end or len(times) < LEAST_STEPS:
        context.stop.check("demo")
        start = time.monotonic()
        train_step(state, task, objective, training, place)
        times.append(time.monotonic() - start)
    return statistics.median(times)
