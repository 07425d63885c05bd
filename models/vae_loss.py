"""Loss of the text VAE: reconstruction, KL with warm-up, and alignment to a teacher.

    loss = CE + beta * KL + repa_weight * alignment

The first two are means over positions. The alignment is REPA's, -mean cos(projection, teacher
states), or the Gram error, see `models.alignment_loss`. Source: TextLDM, arXiv 2605.07748.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.alignment_loss import gram_error, masked_cosine, repa_weight_at
from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.vae import VAELossConfig
from models.gradient_shares import watch_gradient_shares
from models.projectors import hidden_positions
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
        repa_cosine: mean cosine with the teacher (NaN where it is not minimised).
        gram_error: the same of the mean squared difference of a text's cosines.
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
    gram_error: Tensor
    gradient_shares: Tensor


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Compute KL(N(mu, exp(logvar)) || N(0, 1)) in nats, (B, L): summed over the last axis."""
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).sum(-1)


def beta_at(config: VAELossConfig, step: int, num_steps: int) -> float:
    """Return the KL weight at `step` (from 0): linear from 0 over the warm-up, then constant."""
    warmup = config.kl_warmup_fraction * num_steps
    return config.beta * min(1.0, step / warmup) if warmup > 0 else config.beta


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
        generator: draws posterior noise, then decoder noise, then what an alignment hides from its
            projector: twins with and without alignment see the same noise.
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
    measured, weighted_repa = loss.new_tensor(math.nan), None
    by_gram = config.alignment == "gram"
    repa_weight = repa_weight_at(config, step)
    if repa_weight > 0:
        if teacher_states is None or teacher_valid is None:
            raise ValueError("repa_weight > 0 needs teacher_states and teacher_valid")
        valid = teacher_valid & mask
        if by_gram:
            site = vae.aligned_site(posterior)
            measured = gram_error(site, teacher_states, valid, config.gram_texts)
        else:
            unseen = hidden_positions(vae.config, mask, segments, generator)
            measured = masked_cosine(vae.project(posterior, mask, unseen), teacher_states, valid)
        weighted_repa = repa_weight * (measured if by_gram else -measured)
        loss = loss + weighted_repa
    shares = loss.new_full((3,), math.nan)
    if watch_gradients and posterior.trunk.requires_grad:  # a frozen encoder has no gradient
        shares = watch_gradient_shares(posterior.trunk, [weighted_kl, weighted_repa])
    undefined = measured.new_tensor(math.nan)
    return VAELosses(
        loss=loss,
        recon_nll=_mean_where(entropy.nll, real),
        eot_nll=_mean_where(entropy.nll, ~real),
        token_accuracy=_mean_where(entropy.correct.float(), real),
        kl=kl.detach(),
        log_snr=_log_snr(posterior, mask),
        repa_cosine=undefined if by_gram else measured.detach(),
        gram_error=measured.detach() if by_gram else undefined,
        gradient_shares=shares,
    )


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
