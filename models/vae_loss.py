"""Loss of the text VAE: reconstruction, KL with warm-up, and REPA alignment to a teacher.

    loss = CE + beta * KL + repa_weight * REPA,   REPA = -mean cos(projection, teacher states)

All three are means over positions. Source: TextLDM, arXiv 2605.07748; REPA, arXiv 2410.06940.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.vae import VAELossConfig
from models.gradient_shares import watch_gradient_shares
from models.text_vae import Posterior, TextVAE


class VAELosses(NamedTuple):
    """Scalar tensors but for the last; only `loss` carries a gradient.

    Attributes:
        loss: what is minimised.
        recon_nll: nats per real token.
        eot_nll: nats per padding position (0 where there is none).
        token_accuracy: share of real tokens whose argmax is right.
        kl: nats per position, summed over channels.
        log_snr: ln(E[mu^2] / E[sigma^2]) in nats over real tokens, mu centred by channel.
        repa_cosine: mean cosine with the teacher (NaN where the term is off).
        gradient_shares: (3,) shares of reconstruction, KL and alignment in the gradient at the
            encoder's last states, filled by the backward pass; NaN where not asked for or off.
    """

    loss: Tensor
    recon_nll: Tensor
    eot_nll: Tensor
    token_accuracy: Tensor
    kl: Tensor
    log_snr: Tensor
    repa_cosine: Tensor
    gradient_shares: Tensor


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Compute KL(N(mu, exp(logvar)) || N(0, 1)) in nats, (B, L): summed over the last axis."""
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).sum(-1)


def beta_at(config: VAELossConfig, step: int, num_steps: int) -> float:
    """Return the KL weight at `step` (from 0): linear from 0 over the warm-up, then constant."""
    warmup = config.kl_warmup_fraction * num_steps
    return config.beta * min(1.0, step / warmup) if warmup > 0 else config.beta


def repa_weight_at(config: VAELossConfig, step: int) -> float:
    """Return the alignment's weight at `step`: linear warm-up, constant, 0 from the stop step."""
    if config.repa_stop_step is not None and step >= config.repa_stop_step:
        return 0.0
    if config.repa_warmup_steps == 0:
        return config.repa_weight
    return config.repa_weight * min(1.0, step / config.repa_warmup_steps)


def masked_cosine(projected: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Compute the mean cosine over positions where `valid`; 0 where there is none.

    Args:
        projected: (B, L, W), carries the gradient.
        teacher: (B, L, W); no gradient, and rows outside `valid` may hold anything, even NaN.
        valid: (B, L) bool.
    """
    rows = valid.unsqueeze(-1)
    target = torch.where(rows, teacher.detach(), teacher.new_zeros(()))
    cosine = F.cosine_similarity(projected.float(), target.float(), dim=-1, eps=1e-6)  # (B, L)
    return (cosine * valid).sum() / valid.sum().clamp_min(1)


def vae_loss(
    vae: TextVAE,
    token_ids: Tensor,
    mask: Tensor,
    config: VAELossConfig,
    *,
    step: int,
    num_steps: int,
    generator: Generator,
    segments: Tensor | None = None,
    teacher_states: Tensor | None = None,
    teacher_valid: Tensor | None = None,
    watch_gradients: bool = False,
) -> VAELosses:
    """Encode, sample, decode and score one batch.

    Args:
        vae: the model.
        token_ids: (B, L) int64, padded with end-of-text.
        mask: (B, L) bool, True at real tokens.
        config: weights and schedules.
        step: training step from 0, for the schedules.
        num_steps: length of the training.
        generator: draws posterior noise, then decoder noise. Alignment draws nothing, so twins
            with and without it see the same noise.
        segments: (B, L) int64 or None; see `TextVAE.encode`.
        teacher_states: (B, L, teacher_width), needed only while the alignment's weight is not 0.
        teacher_valid: (B, L) bool, True where the teacher's row is usable.
        watch_gradients: fill `gradient_shares` in the backward pass; the loss and its gradient
            stay as they are, bit for bit.

    Raises:
        ValueError: if the alignment is on and the teacher's states or their validity are missing.
    """
    posterior = vae.encode(token_ids, segments)
    z = vae.augment(vae.sample(posterior, generator), generator)
    hidden = vae.decode_hidden(z)
    real = mask.flatten()
    weights = torch.where(real, 1.0, config.eot_weight)
    entropy = chunked_cross_entropy(
        hidden.flatten(0, 1),
        vae.head.weight,
        vae.head.bias,
        token_ids.flatten(),
        weights,
        config.chunk,
    )
    kl = kl_divergence(posterior.mu, posterior.logvar).mean()
    weighted_kl = beta_at(config, step, num_steps) * kl
    loss = entropy.loss + weighted_kl
    cosine, weighted_repa = loss.new_tensor(math.nan), None
    repa_weight = repa_weight_at(config, step)
    if repa_weight > 0:
        cosine = _alignment(vae, posterior, mask, teacher_states, teacher_valid)
        weighted_repa = repa_weight * cosine
        loss = loss - weighted_repa
    shares = loss.new_full((3,), math.nan)
    if watch_gradients:
        shares = watch_gradient_shares(
            posterior.trunk, [weighted_kl, None if weighted_repa is None else -weighted_repa]
        )
    return VAELosses(
        loss=loss,
        recon_nll=_mean_where(entropy.nll, real),
        eot_nll=_mean_where(entropy.nll, ~real),
        token_accuracy=_mean_where(entropy.correct.float(), real),
        kl=kl.detach(),
        log_snr=_log_snr(posterior, mask),
        repa_cosine=cosine.detach(),
        gradient_shares=shares,
    )


def _alignment(
    vae: TextVAE,
    posterior: Posterior,
    mask: Tensor,
    teacher_states: Tensor | None,
    teacher_valid: Tensor | None,
) -> Tensor:
    if teacher_states is None or teacher_valid is None:
        raise ValueError("repa_weight > 0 needs teacher_states and teacher_valid")
    return masked_cosine(vae.project(posterior, mask), teacher_states, teacher_valid & mask)


@torch.no_grad()
def _log_snr(posterior: Posterior, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(-1).float()  # (B, L, 1)
    count = weights.sum().clamp_min(1)
    mu = posterior.mu - (posterior.mu * weights).sum((0, 1)) / count
    noise = posterior.logvar.exp()
    return ((mu.square() * weights).sum() / (noise * weights).sum()).log()


def _mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean of `values` (N,) where `where` (N,) bool; 0 where there is none."""
    return (values * where).sum() / where.sum().clamp_min(1)
