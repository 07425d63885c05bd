"""The flow stage: train the DiT on cached latents and log its loss beside the Gaussian floors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from data.batches import BatchConfig, BatchPlan
from models.configs.flow import FlowConfig
from models.dit import TextDiT
from models.flow import draw_latents, flow_loss
from models.time_samplers import TimeSampler
from workbench.config.run import aligns_flow, generates_vector
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint, update_json
from workbench.machine.seeds import step_generator
from workbench.study.model_content import stored_content
from workbench.study.pairing import digest_noise, digest_weights
from workbench.train.latents import Latents, latents_fingerprint, open_latents, store_latents
from workbench.train.log import record_steps
from workbench.train.loop import fit
from workbench.train.saving import Hooks, load_finished
from workbench.train.teacher_states import TeacherStates, read_states
from workbench.train.vae import teacher_width
from workbench.train.window import StepRecord

if TYPE_CHECKING:
    from workbench.config.run import RunConfig
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run

FLOOR_TEXTS = 2048
FLOOR_QUANTILES = 512
VELOCITY_LOSS = "velocity_loss"


class FlowObjective(nn.Module):
    """The whole forward pass of a step in one module, so it can be replicated over processes."""

    def __init__(self, dit: TextDiT, config: FlowConfig) -> None:
        super().__init__()
        self.dit, self.config = dit, config

    def forward(
        self,
        mu: Tensor,
        std: Tensor,
        cuts: Tensor,
        generator: torch.Generator,
        teacher: tuple[Tensor, Tensor] | None = None,
        vector: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch of normalised posteriors (B, L, D) with cuts (B,).

        The context is the posterior mean; the target is drawn as the config sets it. `teacher`
        holds states (B, L, W) and their validity (B, L), for the alignment of a block; `vector`
        (B, D) is generated beside the latents.
        """
        z = draw_latents(mu, 2 * std.log(), self.config.latent_target, generator)
        ctx_mask = torch.arange(mu.shape[1], device=mu.device) < cuts[:, None]
        states, valid = teacher or (None, None)
        losses = flow_loss(self.dit, z, mu, ctx_mask, self.config, generator, states, valid, vector)
        quartiles = torch.where(losses.quartile_counts > 0, losses.quartile_losses, torch.nan)
        found = {"loss": losses.loss} | {f"loss_q{i + 1}": q for i, q in enumerate(quartiles)}
        if self.dit.config.internal_depth is not None:
            found["internal_loss"] = losses.internal_loss
        if teacher is not None:
            found["repa_cosine"] = losses.repa_cosine
        if vector is not None:
            found["vector_loss"] = losses.vector_loss
        return {**found, VELOCITY_LOSS: losses.velocity_loss}


class FlowTask:
    """Batches of cached latents; z is drawn from the posterior again at every visit.

    With the `teacher`'s states, a block of the network is aligned with them. Latents with sentence
    vectors are for a network that generates these too.
    """

    name = "flow"

    def __init__(
        self,
        dit: TextDiT,
        config: RunConfig,
        latents: Latents,
        plan: BatchPlan,
        place: Placement,
        teacher: TeacherStates | None = None,
    ) -> None:
        self.model, self._teacher = dit, teacher
        self.objective = FlowObjective(dit, config.flow)
        self._seed, self._latents, self._plan, self._place = config.seed, latents, plan, place

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """Losses at `step`, and this process's tokens times the number of processes."""
        place = self._place
        indices = self._plan.batch(step).indices[place.rank :: place.world_size]
        rng = np.random.default_rng([self._seed, 2, step, place.rank])
        variants = rng.integers(self._latents.cuts.shape[1], size=len(indices))
        mu, std, cuts = (x.to(place.device) for x in self._latents.gather(indices, variants))
        generator = step_generator(place.device, self._seed, "flow", step, place.rank)
        teacher = None
        if self._teacher is not None:
            states, valid = self._teacher.gather(indices, mu.shape[1])
            teacher = (states.to(place.device), valid.to(place.device))
        vector = self._latents.gather_vectors(indices, variants)
        if vector is not None:
            vector = vector.to(place.device)
        metrics = objective(mu, std, cuts, generator, teacher, vector)
        return metrics, mu.shape[0] * mu.shape[1] * place.world_size


def flow_fingerprint(run: Run, training: TrainingConfig | None = None) -> str:
    """Fingerprint of the flow stage, optionally with another `training`."""
    config = run.config
    identity = (training or config.flow_training).identity
    teacher: list[Any] = []
    if aligns_flow(config):
        teacher = [config.teacher, stored_content(run.study.teacher_dir(config))]
    return stage_fingerprint(latents_fingerprint(run), config.dit, config.flow, identity, *teacher)


def build_dit(run: Run, place: Placement) -> TextDiT:
    """A DiT whose initial weights depend only on its settings and the seed."""
    corpus = run.study.corpus
    config = dataclasses.replace(
        run.config.dit,
        latent_width=run.config.vae.latent_width,
        window=corpus.window,
        sentence_vector=generates_vector(run.config),
    )
    if aligns_flow(run.config):
        width = teacher_width(run.study, run.config)
        config = dataclasses.replace(config, teacher_width=width)
    return TextDiT(config, torch.Generator().manual_seed(run.config.seed)).to(place.device)


def train_flow(run: Run, context: StageContext, hooks: Hooks | None = None) -> TextDiT:
    """Encode the run's latents and train its flow, or load the flow if it is done.

    Args:
        run: a run whose VAE is trained.
        context: device, reporter and stop signal.
        hooks: what happens around its checkpoints.

    Raises:
        StopRequested, NumericalError, ValueError: see `training.fit`.
    """
    corpus = run.study.corpus
    config, training = run.config, run.config.flow_training
    if context.place.is_main:
        store_latents(run, context)
    context.place.wait_for_all()
    print_ = flow_fingerprint(run)
    if load_finished(run.flow_dir, training.num_steps, print_, restart=context.restart):
        return load_dit(run, context.place)
    dit = build_dit(run, context.place)
    latents = open_latents(run.latents_dir, "train")
    plan = BatchPlan(
        corpus.split("train").lengths,
        corpus.window,
        BatchConfig(batch_size=training.batch_size),
        config.seed + 1,
    )
    if context.place.is_main:
        _record_pairing(run, dit, plan)
    with context.stop.interrupting("flow"):
        floors = flow_floors(latents, config.flow)
    teacher = read_states(run.study, config, "train") if aligns_flow(config) else None
    records = fit(
        FlowTask(dit, config, latents, plan, context.place, teacher),
        training,
        run.flow_dir,
        context.place,
        fingerprint=print_,
        beginnings=[flow_fingerprint(run, t) for t in training.beginnings],
        stop=context.stop,
        hooks=hooks,
        restart=context.restart,
    )
    beside = (_with_floors(record, floors) for record in records)
    record_steps(beside, "flow", run.directory, context)
    return load_dit(run, context.place)


def load_dit(run: Run, place: Placement) -> TextDiT:
    """The run's trained flow.

    Raises:
        InputError: it is not trained yet.
    """
    num_steps = run.config.flow_training.num_steps
    finished = load_finished(run.flow_dir, num_steps, flow_fingerprint(run))
    if finished is None:
        raise InputError(f"{run.flow_dir}: not trained yet; run `train-flow` first")
    dit = build_dit(run, place)
    dit.load_state_dict(finished.model)
    return dit.eval()


def _record_pairing(run: Run, dit: TextDiT, plan: BatchPlan) -> None:
    num_steps = run.config.flow_training.num_steps
    known = run.describe().get("pairing", {})
    update_json(
        run.directory / "run.json",
        {
            "pairing": {
                **known,
                "init.flow": digest_weights(dit),
                "data_order.flow": plan.order_hash(num_steps)[:16],
                "noise.flow": digest_noise(run.config.seed, "flow", num_steps),
            }
        },
    )


@dataclass(frozen=True, slots=True)
class FlowFloors:
    """Losses reachable without learning, per channel, averaged over the training times.

    `gaussian` knows only the covariance of z. `given_mu` knows mu exactly, but not the posterior's
    noise.
    """

    gaussian: float
    given_mu: float


def flow_floors(latents: Latents, config: FlowConfig) -> FlowFloors:
    """The floors of a run's latents on target positions, from up to 2,048 training texts."""
    from analyses.spaces.velocity_floor import (
        covariance_eigenvalues,
        floor_given_mu,
        midpoint_quantiles,
        velocity_floor,
    )

    indices = np.arange(min(FLOOR_TEXTS, len(latents.cuts)))
    target = np.arange(latents.mu.shape[2]) >= latents.cuts[indices, 0][:, None]
    variances = np.asarray(latents.std[indices, 0], np.float64)[target] ** 2
    if config.latent_target == "mean":
        features, variances = np.asarray(latents.mu[indices, 0])[target], 0 * variances
    else:
        features = latents.sample(indices, seed=0)[target]
    shares = torch.from_numpy(midpoint_quantiles(FLOOR_QUANTILES))
    times = TimeSampler(config.time).quantile(shares).numpy()
    clamp = config.t_clamp if config.prediction == "z" else 0.0
    return FlowFloors(
        gaussian=velocity_floor(covariance_eigenvalues(features), times, t_clamp=clamp),
        given_mu=floor_given_mu(variances, times, t_clamp=clamp),
    )


def _with_floors(record: StepRecord, floors: FlowFloors) -> StepRecord:
    """Add both floors to a record, and where the loss lies between them: 1 Gaussian, 0 given mu.

    `loss` is the velocity's part, whatever else is minimised, as in every other arm.
    """
    from analyses.spaces.velocity_floor import band_fraction

    logged = dict(record.metrics)
    loss = logged["loss"] = logged.pop(VELOCITY_LOSS)
    within = band_fraction(loss, floor_mu=floors.given_mu, floor_gaussian=floors.gaussian)
    metrics = {
        **logged,
        "floor_gaussian": floors.gaussian,
        "floor_given_mu": floors.given_mu,
        "band_fraction": np.nan if within is None else within,
    }
    return dataclasses.replace(record, metrics=metrics)
