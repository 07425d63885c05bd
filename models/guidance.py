"""Velocity fields of a trained TextDiT, and guidance: classifier-free around them, internal inside.

    v = v_uncond + guidance_scale * (v_cond - v_uncond);   1 = off, 0 = unconditional
    out = internal + internal_scale * (out - internal);    1 = off

Internal guidance leads away from what the middle of the network predicts. It comes with the same
forward pass and costs no evaluation. Source: Ho & Salimans 2022, arXiv 2207.12598 (their w is
guidance_scale - 1); limited interval: Kynkäänniemi et al. 2024, arXiv 2404.07724; internal:
Zhou et al. 2025, arXiv 2512.24176.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from models.configs.flow import GuidanceConfig, Prediction
from models.flow import to_estimate

# Numbers in a batch's states (rows, positions, width) up to which a CPU gains from one forward for
# both halves. Twice as many cost a fifth more per row; docs/evidence/speed.md has the measurement.
LARGEST_JOINT = 2**19


class ContextVelocity:
    """The velocity field of a TextDiT for fixed contexts: with, without, or both.

    It carries the self-conditioning estimates from one call to the next, one for each half, and
    so belongs to one run: `reset` before another. A half that was not evaluated takes over the
    other's estimate. Context positions move on the straight line to their own latent.

    Args:
        dit: the network, in evaluation mode.
        ctx: (B, L, D) normalised context latents.
        ctx_mask: (B, L) bool, True at context positions.
        prediction: what `dit` was trained to return.
        internal_scale: of internal guidance; unless 1, `dit` has a head in the middle.
    """

    def __init__(
        self,
        dit: nn.Module,
        ctx: Tensor,
        ctx_mask: Tensor,
        prediction: Prediction,
        internal_scale: float = 1.0,
    ) -> None:
        self.dit = dit
        self.internal_scale = internal_scale
        self.ctx = ctx
        self.ctx_mask = ctx_mask
        self.prediction = prediction
        self.self_conditioning = bool(dit.config.self_conditioning)  # type: ignore[union-attr]
        self.nfe = 0
        self._estimates: tuple[Tensor, Tensor] | None = None

    def reset(self) -> None:
        """Forget the self-conditioning estimates and the count of evaluations."""
        self.nfe = 0
        self._estimates = None

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        """Return the velocity given the context; one evaluation."""
        return self.single(z_t, t, drop=False)

    @torch.no_grad()
    def single(self, z_t: Tensor, t: float, *, drop: bool) -> Tensor:
        """Return the velocity with the context, or with it dropped; one evaluation."""
        z_hat = self._half(z_t, t, drop)
        self._estimates = (z_hat, z_hat)
        self.nfe += 1
        return _velocity(z_hat, z_t, t)

    @torch.no_grad()
    def both(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return the velocities with and without the context; two evaluations.

        They share one forward, unless its states would outgrow a processor's cache.
        """
        if self._outgrows_cache(z_t):
            z_cond, z_uncond = (self._half(z_t, t, drop) for drop in (False, True))
        else:
            z_cond, z_uncond = self._joint(z_t, t)
        self._estimates = (z_cond, z_uncond)
        self.nfe += 2
        return _velocity(z_cond, z_t, t), _velocity(z_uncond, z_t, t)

    def _outgrows_cache(self, z_t: Tensor) -> bool:
        width: int = self.dit.config.width  # type: ignore[union-attr, assignment]
        joint = 2 * z_t.shape[0] * z_t.shape[1] * width
        return z_t.device.type == "cpu" and joint > LARGEST_JOINT

    def _half(self, z_t: Tensor, t: float, drop: bool) -> Tensor:
        earlier = None if self._estimates is None else self._estimates[int(drop)]
        # Without a drop in the batch no mask is needed, which the attention kernels reward.
        cond_drop = self.ctx_mask.new_ones(z_t.shape[0]) if drop else None
        return self._estimate(z_t, t, self.ctx, self.ctx_mask, cond_drop, earlier)

    def _joint(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        batch = z_t.shape[0]
        cond_drop = torch.arange(2 * batch, device=z_t.device) >= batch
        earlier = None if self._estimates is None else torch.cat(self._estimates)
        z_hat = self._estimate(
            torch.cat((z_t, z_t)),
            t,
            torch.cat((self.ctx, self.ctx)),
            torch.cat((self.ctx_mask, self.ctx_mask)),
            cond_drop,
            earlier,
        )
        z_cond, z_uncond = z_hat.chunk(2)
        return z_cond, z_uncond

    def _estimate(
        self,
        z_t: Tensor,
        t: float,
        ctx: Tensor,
        ctx_mask: Tensor,
        cond_drop: Tensor | None,
        earlier: Tensor | None,
    ) -> Tensor:
        times = z_t.new_full((z_t.shape[0],), t)
        z_self = earlier if self.self_conditioning else None
        inputs = (z_t, times, ctx, ctx_mask, cond_drop, z_self)
        if self.internal_scale == 1.0:
            out = self.dit(*inputs)
        else:
            found = self.dit(*inputs, return_hidden=True)
            out = torch.lerp(found.internal, found.out, self.internal_scale)
        z_hat = to_estimate(out.to(z_t.dtype), z_t, times, self.prediction)
        return torch.where(ctx_mask.unsqueeze(-1), ctx, z_hat)


def _velocity(z_hat: Tensor, z_t: Tensor, t: float) -> Tensor:
    return (z_hat - z_t) / (1.0 - t)


class Guidable(Protocol):
    """What guidance needs of a velocity field; a `ContextVelocity` is one."""

    @property
    def nfe(self) -> int:
        """Network evaluations so far."""

    def reset(self) -> None:
        """Prepare for another run."""

    def single(self, z_t: Tensor, t: float, *, drop: bool) -> Tensor:
        """Return the velocity with the context, or with it dropped; one evaluation."""

    def both(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return the velocities with and without the context; two evaluations."""


class Guided:
    """Classifier-free guidance around a `Guidable` field, itself a velocity field."""

    def __init__(self, velocity: Guidable, config: GuidanceConfig) -> None:
        self.velocity = velocity
        self.config = config

    @property
    def nfe(self) -> int:
        """Network evaluations so far, both halves counted."""
        return self.velocity.nfe

    def reset(self) -> None:
        """Prepare for another run."""
        self.velocity.reset()

    def scale_at(self, t: float) -> float:
        """Return the scale in force at t."""
        inside = self.config.t_low <= t <= self.config.t_high
        return self.config.guidance_scale if inside else 1.0

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        """Return the guided velocity; one evaluation at scale 0 or 1, else two."""
        scale = self.scale_at(t)
        if scale in (0.0, 1.0):
            return self.velocity.single(z_t, t, drop=scale == 0.0)
        v_cond, v_uncond = self.velocity.both(z_t, t)
        return torch.lerp(v_uncond, v_cond, scale)
