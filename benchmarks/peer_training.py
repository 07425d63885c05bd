"""The peers' training loop: nanoGPT's, in eager float32 with unfused AdamW and no autocast.

`best` is what a careful user would run: bfloat16 autocast where the processor gains by it, fused
AdamW, and on request the whole model under `torch.compile`, as nanoGPT does by default.

Batches, cuts, noise, schedule and clipping match our own tasks at the same step, so the losses of
both loops can be compared step by step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers import PeerDiT, PeerVAE
from benchmarks.workload import Workload
from data.batches import random_cuts
from models.precision import bfloat16_autocast
from models.time_samplers import TimeSampler
from models.vae_loss import beta_at
from workbench.config.training import TrainingConfig
from workbench.machine.seeds import step_generator
from workbench.train.loop import learning_rate
from workbench.train.texts import load_texts


class PeerLoop:
    """One optimiser step after another.

    Args:
        model: the peer's model.
        config: rates, decay, clipping; a plain loop applies its `ema_decay`.
        loss: function from a step to its loss.
        best: autocast and fused AdamW, see above.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        loss: Callable[[int], Tensor],
        best: bool = False,
    ) -> None:
        self.best = best
        self.model, self.config, self.loss, self.step_number = model, config, loss, 0
        matrices = [p for p in model.parameters() if p.ndim >= 2]
        others = [p for p in model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            fused=best,
        )
        self.average = [p.detach().clone() for p in model.parameters()]

    def step(self) -> Tensor:
        """Train one step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step_number, self.config)
        with bfloat16_autocast("cpu") if self.best else contextlib.nullcontext():
            loss = self.loss(self.step_number)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.config.ema_decay > 0:
            with torch.no_grad():
                for mean, live in zip(self.average, self.model.parameters(), strict=True):
                    mean.lerp_(live, 1 - self.config.ema_decay)
        self.step_number += 1
        return loss.detach()


def vae_peer(
    model: PeerVAE,
    workload: Workload,
    noise_seed: int = 0,
    best: bool = False,
    compiled: bool = False,
) -> PeerLoop:
    """The VAE loop on the batches of our `VAETask`; `noise_seed` 0 also gives the same noise."""
    config, split = workload.config, workload.corpus.split("train")
    training, context = config.vae_training, config.context
    plan = workload.plan(training)
    forward = torch.compile(model) if compiled else model

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([config.seed, 1, step, 0])
        batch_plan = plan.batch(step)
        lengths = split.lengths[batch_plan.indices]
        cuts = random_cuts(lengths, context.cut_low, context.cut_high, rng)
        batch = load_texts(split, batch_plan.indices, batch_plan.length, cuts)
        segments = batch.segments if rng.random() < context.split_prob else None
        generator = step_generator(torch.device("cpu"), config.seed + noise_seed, "vae", step, 0)
        logits, mu, logvar = forward(batch.token_ids, segments, generator)
        nll = F.cross_entropy(logits.flatten(0, 1), batch.token_ids.flatten(), reduction="none")
        weights = torch.where(batch.mask.flatten(), 1.0, config.vae_loss.eot_weight)
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1).mean()
        beta = beta_at(config.vae_loss, step, training.num_steps)
        return (nll * weights).sum() / weights.sum() + beta * kl

    return PeerLoop(model, training, loss, best)


def dit_peer(
    model: PeerDiT,
    workload: Workload,
    noise_seed: int = 0,
    best: bool = False,
    compiled: bool = False,
) -> PeerLoop:
    """The flow loop on the batches of our `FlowTask`; `noise_seed` 0 also gives the same noise."""
    config, latents = workload.config, workload.latents()
    training, flow = config.flow_training, config.flow
    plan = workload.plan(training)
    times = TimeSampler(flow.time)
    forward = torch.compile(model) if compiled else model

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([config.seed, 2, step, 0])
        indices = plan.batch(step).indices
        z, _, cuts = latents.gather(indices, rng.integers(latents.cuts.shape[1], size=len(indices)))
        ctx_mask = torch.arange(z.shape[1]) < cuts[:, None]
        generator = step_generator(torch.device("cpu"), config.seed + noise_seed, "flow", step, 0)
        t = times.sample_t(len(z), generator)
        noise = torch.randn(z.shape, generator=generator)
        cond_drop = torch.rand(len(z), generator=generator) < flow.cond_drop_prob
        z_t = (1 - t[:, None, None]) * noise + t[:, None, None] * z
        z_self = None
        if torch.rand((), generator=generator) < flow.self_conditioning_prob:
            with torch.no_grad():
                z_self = forward(z_t, t, z, ctx_mask, cond_drop, None)
        z_hat = forward(z_t, t, z, ctx_mask, cond_drop, z_self)
        remaining = (1 - t).clamp_min(flow.t_clamp)[:, None, None]
        squared = ((z_hat - z) / remaining).square().mean(-1)  # (B, L)
        target = ~ctx_mask
        return ((squared * target).sum(1) / target.sum(1)).mean()

    return PeerLoop(model, training, loss, best)
