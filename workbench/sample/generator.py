"""Generators: a velocity field, integrated from noise, and a decoder that reads where it ends.

A trained run has a VAE and a flow; what an adapter brings is in `outside`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from models.configs.flow import GuidanceConfig, SamplerConfig
from models.flow import with_vector
from models.guidance import ContextVelocity, Guidable, Guided
from models.noise import normal_like
from models.samplers import SAMPLERS, FreshNoise, SamplerStep
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
    from workbench.config.run import RunConfig
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a decoder reads in the latents of B prompts, in the study's tokens.

    Attributes:
        token_ids: (B, L) int64, prompts included.
        entropy: (B, L) nats; NaN where a decoder gives texts and no more.
        margin: (B, L) probability of the first choice minus the second; NaN likewise.
        texts: the continuations as a decoder from outside wrote them; None where latent k is read
            as token k.
    """

    token_ids: np.ndarray
    entropy: np.ndarray
    margin: np.ndarray
    texts: list[str] | None = None


class Generates(Protocol):
    """What sampling and playback need of a generator; a `Generator` is one.

    Its states are (B, L + R, D): a text's latents, and R rows behind them that no decoder reads.
    """

    @property
    def place(self) -> Placement:
        """Device of its states."""

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(L, D) of a text's latents."""

    @property
    def extra_rows(self) -> int:
        """R."""

    def times(self, sampler: SamplerConfig) -> list[float]:
        """The time grid, from 0 to 1."""

    def field(self, prompts: Prompts) -> tuple[Guidable, Tensor]:
        """The velocity field of B prompts, and which rows are theirs: (B, L + R) bool."""

    def read(self, z: Tensor, prompts: Prompts) -> Reading:
        """Decode latents (B, L, D)."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A run's trained pair: the VAE and the flow in its latent space."""

    vae: TextVAE
    dit: TextDiT
    flow: FlowConfig
    joint: bool
    place: Placement
    internal_scale: float

    @classmethod
    def of(cls, config: RunConfig, vae: TextVAE, dit: TextDiT, place: Placement) -> Generator:
        """The pair as a run's settings want it used."""
        joint, internal_scale = config.context.joint, config.sampling.internal_scale
        return cls(vae, dit, config.flow, joint, place, internal_scale)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(L, D): the window, and the width of a token's latent."""
        window, width = self.vae.config.window, self.vae.config.latent_width
        assert window is not None
        return window, width

    @property
    def extra_rows(self) -> int:
        """1 where the flow generates a sentence vector beside the latents."""
        return int(self.dit.config.sentence_vector)

    def times(self, sampler: SamplerConfig) -> list[float]:
        """The sampler's grid over the times that the flow was trained on."""
        return sampling_times(sampler, TimeSampler(self.flow.time))

    def field(self, prompts: Prompts) -> tuple[Guidable, Tensor]:
        """The flow's velocity given the prompts, and where they stand: (B, L + R) bool."""
        batch = prompts.batch(slice(None)).to(self.place.device)
        with autocast(self.place, "auto"):
            ctx = encode_context(self.vae, batch, joint=self.joint)
        ctx_mask = batch.ctx_mask
        if self.extra_rows:
            ctx, ctx_mask = with_vector(ctx, ctx_mask)
        velocity = ContextVelocity(
            self.dit, ctx, ctx_mask, self.flow.prediction, self.internal_scale
        )
        return _Autocast(velocity, self.place), ctx_mask

    def read(self, z: Tensor, prompts: Prompts) -> Reading:
        """The decoder's reading of normalised latents (B, L, D)."""
        ids, entropy, margin = (part.cpu().numpy() for part in read_latents(self, z))
        return Reading(token_ids=ids, entropy=entropy, margin=margin)


def load_generator(run: Run, place: Placement) -> Generator:
    """Load a run's VAE and flow.

    Raises:
        InputError: one of them is not trained yet.
    """
    return Generator.of(run.config, load_vae(run, place), load_dit(run, place), place)


def starting_noise(generator: Generates, prompts: Prompts, seed: int) -> Tensor:
    """(B, L + R, D) noise that depends only on the seed and each prompt's identity.

    A text's rows are drawn first, so that they start alike with and without others behind them.
    """
    length, width = generator.latent_shape
    states = []
    for identity in prompts.identities:
        draw = step_generator(torch.device("cpu"), seed, "sample", int(identity))
        parts = (
            torch.randn((rows, width), generator=draw) for rows in (length, generator.extra_rows)
        )
        states.append(torch.cat(list(parts)))
    return torch.stack(states)


def renoising(generator: Generates, seed: int, identity: int | None = None) -> FreshNoise:
    """The fresh noise of churn and restarts, for one prompt or a batch."""
    return fresh_noise(generator, seed, "churn", *(() if identity is None else (identity,)))


def fresh_noise(generator: Generates, seed: int, *parts: int | str) -> FreshNoise:
    """Noise that depends on `seed` and `parts`, drawn where the generator's states are.

    Rows behind a text's have a stream of their own, so that the text's rows get the same noise at
    every step with and without them.
    """
    device, (length, _) = generator.place.device, generator.latent_shape
    text = step_generator(device, seed, *parts)
    others = step_generator(device, seed, *parts, "extra rows")

    def fresh(state: Tensor) -> Tensor:
        rows = normal_like(state[:, :length], text)
        return torch.cat((rows, normal_like(state[:, length:], others)), dim=1)

    return fresh


class _Autocast:
    """A velocity field evaluated under autocast.

    Autocast must not span a generator's yields. It would leak into the consumer, and if the
    consumer leaves inference mode, autocast would end after the first step.
    """

    def __init__(self, velocity: Guidable, place: Placement) -> None:
        self._velocity, self._place = velocity, place

    @property
    def nfe(self) -> int:
        """Network evaluations so far."""
        return self._velocity.nfe

    def reset(self) -> None:
        """Prepare for another run."""
        self._velocity.reset()

    def single(self, z_t: Tensor, t: float, *, drop: bool) -> Tensor:
        """The velocity (B, L, D) with the context, or with it dropped."""
        with autocast(self._place, "auto"):
            return self._velocity.single(z_t, t, drop=drop)

    def both(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The velocities with and without the context."""
        with autocast(self._place, "auto"):
            return self._velocity.both(z_t, t)


def sample_steps(
    generator: Generates,
    prompts: Prompts,
    noise: Tensor,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    identity: int | None = None,
) -> Iterator[SamplerStep]:
    """Integrate a batch from noise, yielding every step of the solver: the texts' rows alone.

    Args:
        generator: of an arm.
        prompts: B prompts.
        noise: (B, L + R, D) starting noise.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: for the re-noising.
        identity: of a batch's only prompt, which then gets its own re-noising.
    """
    length, _ = generator.latent_shape
    for step in SAMPLERS[sampler.name](
        Guided(generator.field(prompts)[0], guidance),
        noise.to(generator.place.device),
        generator.times(sampler),
        sampler.churn,
        renoising(generator, seed, identity),
    ):
        z_t, z_hat, v = (part[:, :length] for part in (step.z_t, step.z_hat, step.v))
        yield step._replace(z_t=z_t, z_hat=z_hat, v=v)


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
