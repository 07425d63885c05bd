"""Continuations by a generator from outside: its velocity field, our samplers, its decoder.

The state moves from standard normal noise to a latent that the adapter's `decode` reads. What it
reads is the continuation; the study's tokens of that text are kept beside it, as scores need them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.guidance import Guided
from models.samplers import SAMPLERS
from models.time_samplers import TimeSampler, sampling_times
from workbench.errors import InputError
from workbench.sample.continued import Continuations
from workbench.sample.generator import renoising, starting_noise

if TYPE_CHECKING:
    from models.configs.flow import GuidanceConfig, SamplerConfig
    from workbench.machine.context import StageContext
    from workbench.sample.prompts import Prompts
    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter


class OutsideVelocity:
    """An adapter's velocity field for fixed prompts, with and without them."""

    def __init__(self, adapter: Adapter, prompts: list[str]) -> None:
        self._adapter, self._prompts = adapter, prompts
        self.nfe = 0

    def reset(self) -> None:
        """Forget the count of evaluations."""
        self.nfe = 0

    def single(self, z_t: Tensor, t: float, *, drop: bool) -> Tensor:
        """The velocity given the prompts, or given none; one evaluation."""
        self.nfe += 1
        state = z_t.float().cpu().numpy()
        found = self._adapter.velocity(state, t, None if drop else self._prompts)
        return torch.from_numpy(found).to(z_t)

    def both(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The velocities with and without the prompts; two evaluations."""
        return self.single(z_t, t, drop=False), self.single(z_t, t, drop=True)


def require_generator(adapter: Adapter | None, run: Run) -> Adapter:
    """An adapter that generates.

    Raises:
        InputError: there is none, or it lacks `velocity` or `decode`.
    """
    if adapter is None:
        raise InputError(
            f"{run.name} came from a latent bundle and has no generator of ours; name its adapter: "
            "--adapter FILE"
        )
    for name, arguments in (("velocity", "z_t, t, prompts"), ("decode", "z, mask")):
        if not adapter.can(name):
            raise InputError(
                f"--adapter {adapter.file}: cannot generate, it has no {name}({arguments})"
            )
    return adapter


@torch.inference_mode()
def continue_outside(
    adapter: Adapter,
    run: Run,
    prompts: Prompts,
    context: StageContext,
    *,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    batch_size: int,
    stage: str = "sampling",
) -> Continuations:
    """Continue every prompt with an adapter's generator.

    A continuation that is longer than the study's window leaves is cut there, as ours are, and does
    not count as ended.
    """
    start, corpus = time.monotonic(), run.study.corpus
    shape, texts, nfe = adapter.latent_shape, [], 0
    times = sampling_times(sampler, TimeSampler(run.config.flow.time))
    for first in range(0, len(prompts), batch_size):
        rows = slice(first, first + batch_size)
        velocity = OutsideVelocity(adapter, prompts.texts[rows])
        z_t = starting_noise(prompts, rows, shape, seed)
        churn = renoising(z_t.device, seed)
        solver = SAMPLERS[sampler.name]
        for step in solver(Guided(velocity, guidance), z_t, times, sampler.churn, churn):
            context.stop.check(stage)
            z_t, nfe = step.z_t, step.nfe
        texts += adapter.decode(z_t.numpy(), np.ones(z_t.shape[:2], bool))
        context.reporter.update(stage, min(rows.stop, len(prompts)), len(prompts), {})
    encoded = corpus.tokenizer.encode_batch(texts)
    room = corpus.window - prompts.cuts
    ids = [e.token_ids[:n] for e, n in zip(encoded, room, strict=True)]
    ended = np.array([len(e.token_ids) <= n for e, n in zip(encoded, room, strict=True)], bool)
    return Continuations(
        prompts=prompts.texts,
        texts=[
            text if whole else corpus.tokenizer.decode(own)
            for text, own, whole in zip(texts, ids, ended, strict=True)
        ],
        token_ids=ids,
        ended=ended,
        nfe=nfe,
        seconds=time.monotonic() - start,
        trace=None,
    )
