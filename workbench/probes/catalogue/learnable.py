"""Probes of how much a small model learns: a ridge regression on the context, and a tiny flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe

if TYPE_CHECKING:
    from analyses.result import Result
    from models.dit import TextDiT
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.train.latents import Latents

TINY_WIDTH, TINY_LAYERS, TINY_HEADS, TINY_BATCH = 96, 2, 4, 32
# Each held-out text is scored at several times, so that the result does not depend on the draw.
HELD_OUT_DRAWS = 4
HELD_OUT_BATCH = 128


def _learnability(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.learnability import LearnabilityConfig, context_predictability

    table = inputs.context_table
    config = LearnabilityConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    return [context_predictability(table.context, table.z, config, table.texts)]


def _flow_excess(inputs: ProbeInputs) -> list[Result]:
    from analyses.numerics.features import check_features
    from analyses.spaces.learnability import LearnabilityConfig, flow_excess
    from workbench.train.flow import flow_floors
    from workbench.train.latents import open_latents

    train = open_latents(inputs.run.latents_dir, "train")
    config = LearnabilityConfig(
        num_steps=inputs.config.tiny_flow_steps,
        bootstrap=inputs.bootstrap,
        seed=inputs.config.seed,
    )
    held_out = inputs.normalised_mu
    check_features(held_out.reshape(len(held_out), -1), name="held-out latents")
    floor = flow_floors(inputs.latents, inputs.run.config.flow).gaussian
    trainer = TinyFlow(inputs, np.asarray(train.std[:, 0]), train.cuts[:, 0])
    return [flow_excess(np.asarray(train.mu[:, 0], np.float32), trainer, floor, config)]


@dataclass(frozen=True)
class TinyFlow:
    """Trains a small DiT on latents and returns its held-out loss for each text.

    Attributes:
        inputs: provides the held-out latents, the flow's settings and the corpus.
        std: (N, L, D) posterior standard deviations that go with the means passed in.
        cuts: (N,) context lengths.
    """

    inputs: ProbeInputs
    std: np.ndarray
    cuts: np.ndarray

    def __call__(self, mu: np.ndarray, num_steps: int, seed: int) -> np.ndarray:
        """Train on posteriors with means (N, L, D) and return held-out velocity losses (M,)."""
        from data.batches import BatchConfig, BatchPlan
        from workbench.config.training import TrainingConfig
        from workbench.train.flow import FlowTask
        from workbench.train.latents import Latents
        from workbench.train.loop import build_state, train_step

        inputs = self.inputs
        latents = Latents(mu[:, None], self.std[:, None], self.cuts[:, None])
        training = TrainingConfig(
            num_steps=num_steps, batch_size=TINY_BATCH, warmup_steps=min(50, num_steps)
        )
        dit = self._build(seed)
        plan = BatchPlan(
            inputs.corpus.split("train").lengths,
            inputs.corpus.window,
            BatchConfig(batch_size=TINY_BATCH),
            seed,
        )
        task = FlowTask(dit, inputs.run.config, latents, plan, inputs.place)
        state, objective = build_state(task, training, inputs.place)
        for _ in range(num_steps):
            train_step(state, task, objective, training, inputs.place)
        return self._held_out(dit.eval(), inputs.latents, seed)

    def _build(self, seed: int) -> TextDiT:
        from dataclasses import replace

        import torch

        from models.dit import TextDiT

        config = replace(
            self.inputs.run.config.dit,
            latent_width=self.inputs.run.config.vae.latent_width,
            window=self.inputs.corpus.window,
            width=TINY_WIDTH,
            layers=TINY_LAYERS,
            heads=TINY_HEADS,
            repa_depth=None,
            internal_depth=None,
        )
        generator = torch.Generator().manual_seed(seed)
        return TextDiT(config, generator).to(self.inputs.place.device)

    def _held_out(self, dit: TextDiT, latents: Latents, seed: int) -> np.ndarray:
        """(M,) mean loss of each probed text given its context, over several times."""
        from dataclasses import replace

        import torch

        from models.flow import draw_latents, flow_loss
        from workbench.machine.seeds import step_generator

        inputs, device = self.inputs, self.inputs.place.device
        # No dropped context and no second pass: the floor is for one evaluation of latents alone.
        config = replace(inputs.run.config.flow, cond_drop_prob=0.0, self_conditioning_prob=0.0)
        losses = np.zeros(len(inputs.rows))
        for start in range(0, len(inputs.rows), HELD_OUT_BATCH):
            rows = inputs.rows[start : start + HELD_OUT_BATCH]
            parts = latents.gather(rows, np.zeros(len(rows), np.int64))
            mu, std, cuts = (part.to(device) for part in parts)
            ctx_mask = torch.arange(mu.shape[1], device=device) < cuts[:, None]
            for draw in range(HELD_OUT_DRAWS):
                generator = step_generator(device, seed, "tiny flow", start, draw)
                with torch.inference_mode():
                    z = draw_latents(mu, 2 * std.log(), config.latent_target, generator)
                    found = flow_loss(dit, z, mu, ctx_mask, config, generator).per_example
                losses[start : start + len(rows)] += found.cpu().numpy() / HELD_OUT_DRAWS
        return losses


LEARNABLE = {
    "learnability": Probe(
        question="how much of the target does a ridge regression on the context predict?",
        looks_at="z of the target, mu of the context",
        cost="quick",
        metrics="learnability.context_r2",
        run=_learnability,
        needs_tokens=True,
    ),
    "flow_excess": Probe(
        question="how far below the Gaussian floor does a briefly trained tiny flow get?",
        looks_at="z",
        cost="full",
        metrics="learnability.flow_excess",
        run=_flow_excess,
        needs_models=True,
    ),
}
