"""A run's generator: VAE and flow, integrated from noise and read by the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.configs.flow import GuidanceConfig, SamplerConfig
from models.guidance import ContextVelocity, Guided
from models.samplers import SAMPLERS, SamplerStep
from models.time_samplers import TimeSampler, sampling_times
from workbench.machine.devices import autocast
from workbench.machine.seeds import step_generator
from workbench.sample.prompts import Prompts, encode_context
from workbench.train.flow import load_dit
from workbench.train.vae import load_vae

if TYPE_CHECKING:
    from models.configs.flow import FlowConfig
    from models.dit import TextDiT
    from models.text_vae import TextVAE
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run
    from workbench.train.texts import TextBatch


@dataclass(frozen=True, slots=True)
class Generator:
    """A run's trained pair: the VAE and the flow in its latent space."""

    vae: TextVAE
    dit: TextDiT
    flow: FlowConfig
    joint: bool
    place: Placement


def load_generator(run: Run, place: Placement) -> Generator:
    """Load a run's VAE and flow.

    Raises:
        InputError: one of them is not trained yet.
    """
    return Generator(
        load_vae(run, place),
        load_dit(run, place),
        run.config.flow,
        run.config.context.joint,
        place,
    )


def starting_noise(prompts: Prompts, rows: slice, shape: tuple[int, int], seed: int) -> Tensor:
    """(B, L, D) noise that depends only on the seed and each prompt's identity."""
    device = torch.device("cpu")
    return torch.stack(
        [
            torch.randn(shape, generator=step_generator(device, seed, "sample", int(identity)))
            for identity in prompts.identities[rows]
        ]
    )


def renoising(device: torch.device, seed: int, identity: int | None = None) -> torch.Generator:
    """Random generator of the fresh noise of churn and restarts, for one prompt or a batch."""
    own = () if identity is None else (identity,)
    return step_generator(device, seed, "churn", *own)


class _Autocast:
    """A velocity field evaluated under autocast.

    Autocast must not span a generator's yields. It would leak into the consumer, and if the
    consumer leaves inference mode, autocast would end after the first step.
    """

    def __init__(self, velocity: Guided, place: Placement) -> None:
        self._velocity, self._place = velocity, place

    @property
    def nfe(self) -> int:
        """Network evaluations so far."""
        return self._velocity.nfe

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        """The velocity (B, L, D) at z_t (B, L, D) and t."""
        with autocast(self._place, "auto"):
            return self._velocity(z_t, t)


def sample_steps(
    generator: Generator,
    batch: TextBatch,
    noise: Tensor,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    identity: int | None = None,
) -> Iterator[SamplerStep]:
    """Integrate a batch from noise, yielding every step of the solver.

    Args:
        generator: the trained pair.
        batch: prompts on the generator's device.
        noise: (B, L, D) starting noise.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: for the re-noising.
        identity: of a batch's only prompt, which then gets its own re-noising.
    """
    place = generator.place
    with autocast(place, "auto"):
        ctx = encode_context(generator.vae, batch, joint=generator.joint)
    velocity = ContextVelocity(generator.dit, ctx, batch.ctx_mask, generator.flow.prediction)
    yield from SAMPLERS[sampler.name](
        _Autocast(Guided(velocity, guidance), place),
        noise.to(place.device),
        sampling_times(sampler, TimeSampler(generator.flow.time)),
        sampler.churn,
        renoising(place.device, seed, identity),
    )


@torch.inference_mode()
def read_latents(generator: Generator, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decode normalised latents (B, L, D): token ids, entropy in nats, top-2 probability margin."""
    with autocast(generator.place, "auto"):
        logits = generator.vae.decode_normalised(z)
    log_probs = logits.float().log_softmax(-1)
    probs = log_probs.exp()
    top = probs.topk(2, dim=-1).values
    entropy = -(probs * log_probs).sum(-1)
    return log_probs.argmax(-1), entropy, top[..., 0] - top[..., 1]
