"""Flow matching on the straight path from noise to latents, and its training loss.

    z_t = (1 - t) * noise + t * z,   velocity = z - noise

The network predicts the velocity, or the clean latent, whose velocity is
(z_hat - z_t) / max(1 - t, t_clamp). With a teacher, the states of one of its blocks are aligned
with the teacher's, or a vector of the teacher is denoised beside the latents; with a second head,
the network also predicts halfway. Source: Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022,
arXiv 2209.03003; self-conditioning: Chen et al. 2022, arXiv 2208.04202; alignment (REPA): Yu et al.
2024, arXiv 2410.06940; vector (REG): Wu et al. 2025, arXiv 2507.01467; second head: Zhou et al.
2025, arXiv 2512.24176.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.alignment_loss import masked_cosine
from models.configs.flow import FlowConfig, LatentTarget, Prediction
from models.dit import TextDiT
from models.noise import normal_like, uniform
from models.time_samplers import TimeSampler


class FlowLosses(NamedTuple):
    """Loss of one batch; only `loss` carries a gradient.

    Attributes:
        loss: what is minimised: `velocity_loss`, the second head's, the alignment and the
            vector's, if any.
        velocity_loss: MSE per channel, over the target positions of each text, then over texts.
        repa_cosine: mean cosine of a block's projected states with the teacher's at target
            positions; NaN without alignment.
        internal_loss: `velocity_loss` of the head in the middle; NaN without one.
        vector_loss: MSE per channel of the sentence vectors' velocity; NaN without vectors.
        per_example: (B,) the same text by text; 0 for a text without target positions.
        t: (B,) the times drawn.
        quartile_losses: (4,) means of `per_example` for t in [0, 1/4), ..., [3/4, 1]; 0 if empty.
        quartile_counts: (4,) int64 texts in each.
    """

    loss: Tensor
    velocity_loss: Tensor
    repa_cosine: Tensor
    internal_loss: Tensor
    vector_loss: Tensor
    per_example: Tensor
    t: Tensor
    quartile_losses: Tensor
    quartile_counts: Tensor


def path(z: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Compute z_t = (1 - t) * noise + t * z for (B, L, D) latents and t (B,)."""
    return torch.lerp(noise, z, t[:, None, None].to(z.dtype))


def to_velocity(
    out: Tensor, z_t: Tensor, t: Tensor, prediction: Prediction, t_clamp: float
) -> Tensor:
    """Turn the network's output (B, L, D) at z_t and t (B,) into a velocity.

    With prediction "z" the divisor 1 - t is held above `t_clamp`; with "v" nothing is done.
    """
    if prediction == "v":
        return out
    return (out - z_t) / (1.0 - t).clamp_min(t_clamp)[:, None, None]


def to_estimate(out: Tensor, z_t: Tensor, t: Tensor, prediction: Prediction) -> Tensor:
    """Turn the network's output (B, L, D) at z_t and t (B,) into z_hat."""
    if prediction == "z":
        return out
    return z_t + (1.0 - t)[:, None, None] * out


def draw_latents(
    mu: Tensor, logvar: Tensor, latent_target: LatentTarget, generator: Generator
) -> Tensor:
    """Return a posterior sample or the posterior mean (B, L, D), in the units of `mu`."""
    if latent_target == "mean":
        return mu
    return torch.addcmul(mu, (0.5 * logvar).exp(), normal_like(mu, generator))


def with_vector(ctx: Tensor, ctx_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Context (B, L, D) and its mask (B, L) with one row more, which is no context."""
    return F.pad(ctx, (0, 0, 0, 1)), F.pad(ctx_mask, (0, 1))


def flow_loss(
    dit: nn.Module,
    z: Tensor,
    ctx: Tensor,
    ctx_mask: Tensor,
    config: FlowConfig,
    generator: Generator,
    teacher_states: Tensor | None = None,
    teacher_valid: Tensor | None = None,
    vector: Tensor | None = None,
) -> FlowLosses:
    """Draw times, noise and drops, and score the velocity on target positions.

    The regression target of prediction "z" passes through the same clamp as the prediction, so a
    perfect network has loss 0 at every t. All draws come before the network runs and do not
    depend on it: twins see the same ones.

    Args:
        dit: a `TextDiT`, or a wrapper that calls one; the network itself where it is aligned.
        z: (B, L, D) normalised latents of the texts; context positions are not read.
        ctx: (B, L, D) normalised context latents; target positions are not read.
        ctx_mask: (B, L) bool, True at context positions; may differ from text to text.
        config: the flow's settings.
        generator: draws, in this order: t, noise, drops, whether to self-condition, the vectors'
            noise.
        teacher_states: (B, L, teacher_width); without them nothing is aligned.
        teacher_valid: (B, L) bool, True where the teacher's row is usable.
        vector: (B, D) sentence vectors, NaN where a text has none, for a network with
            `sentence_vector`.
    """
    batch, length, _ = z.shape
    t = TimeSampler(config.time).sample_t(batch, generator).to(z.device)  # (B,)
    noise = normal_like(z, generator)
    cond_drop = uniform((batch,), z, generator) < config.cond_drop_prob  # (B,)
    twice = bool(uniform((), z, generator) < config.self_conditioning_prob)
    known = None
    if vector is not None:
        known = vector.isfinite().all(dim=1)  # (B,)
        rows = (vector.masked_fill(~known[:, None], 0.0), normal_like(vector, generator))
        z, noise = (
            torch.cat((part, row.unsqueeze(1)), dim=1)  # (B, L + 1, D)
            for part, row in zip((z, noise), rows, strict=True)
        )
        ctx, ctx_mask = with_vector(ctx, ctx_mask)
    z_t = path(z, noise, t)
    z_self = None
    if twice:
        z_self = _first_estimate(dit, z_t, t, ctx, ctx_mask, cond_drop, config)
    inputs = (z_t, t, ctx, ctx_mask, cond_drop, z_self)
    velocity = z - noise
    if config.prediction == "z":
        velocity = to_velocity(z, z_t, t, "z", config.t_clamp)

    def score(out: Tensor) -> FlowLosses:
        v_pred = to_velocity(out.float(), z_t, t, config.prediction, config.t_clamp)
        squared = (v_pred - velocity).square().mean(-1)
        losses = _reduce(squared[:, :length], ~ctx_mask[:, :length], t)
        if known is None:
            return losses
        vector_loss = (squared[:, length] * known).sum() / known.sum().clamp_min(1)
        loss = losses.loss + config.reg_weight * vector_loss
        return losses._replace(
            loss=loss, velocity_loss=losses.loss.detach(), vector_loss=vector_loss.detach()
        )

    aligned = teacher_states is not None and teacher_valid is not None
    if not aligned and not config.internal_weight:
        return score(dit(*inputs))
    found = dit(*inputs, return_hidden=True)
    losses = score(found.out)
    loss = losses.loss
    losses = losses._replace(velocity_loss=losses.velocity_loss.detach())
    if found.internal is not None:
        internal = score(found.internal)
        loss = loss + config.internal_weight * internal.loss
        losses = losses._replace(internal_loss=internal.velocity_loss.detach())
    if aligned:
        assert isinstance(dit, TextDiT)
        assert teacher_states is not None
        assert teacher_valid is not None
        projected = dit.project(found.hidden)[:, :length]
        target = teacher_valid & ~ctx_mask[:, :length]
        cosine = masked_cosine(projected, teacher_states, target)
        loss = loss - config.repa_weight * cosine
        losses = losses._replace(repa_cosine=cosine.detach())
    return losses._replace(loss=loss)


def _first_estimate(
    dit: nn.Module,
    z_t: Tensor,
    t: Tensor,
    ctx: Tensor,
    ctx_mask: Tensor,
    cond_drop: Tensor,
    config: FlowConfig,
) -> Tensor:
    with torch.no_grad():
        out = dit(z_t, t, ctx, ctx_mask, cond_drop).float()
    if torch.is_autocast_enabled(z_t.device.type):
        # Weights that autocast cast without gradient must not serve the second pass.
        torch.clear_autocast_cache()
    return to_estimate(out, z_t, t, config.prediction)


def _reduce(squared: Tensor, target: Tensor, t: Tensor) -> FlowLosses:
    counts = target.sum(dim=1)  # (B,)
    per_example = (squared * target).sum(dim=1) / counts.clamp_min(1)
    has_target = counts > 0
    loss = per_example.sum() / has_target.sum().clamp_min(1)
    quartile = (t * 4).long().clamp(max=3)
    member = torch.nn.functional.one_hot(quartile, 4) * has_target.unsqueeze(1)  # (B, 4)
    quartile_counts = member.sum(dim=0)
    sums = (per_example.detach().unsqueeze(1) * member).sum(dim=0)
    return FlowLosses(
        loss=loss,
        velocity_loss=loss,
        repa_cosine=loss.new_tensor(math.nan),
        internal_loss=loss.new_tensor(math.nan),
        vector_loss=loss.new_tensor(math.nan),
        per_example=per_example.detach(),
        t=t,
        quartile_losses=sums / quartile_counts.clamp_min(1),
        quartile_counts=quartile_counts,
    )
