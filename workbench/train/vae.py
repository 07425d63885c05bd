"""The VAE stage: train, store the normalisation, report reconstruction on held-out texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from data.batches import BatchConfig, BatchPlan, random_cuts
from models.text_vae import TextVAE
from models.vae_loss import vae_loss
from workbench.config import settings
from workbench.config.run import aligns_latents, in_teacher_space, needs_teacher, reads_teacher
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint, update_json
from workbench.machine.seeds import step_generator
from workbench.store.json_files import read_json
from workbench.study.model_content import stored_content
from workbench.study.pairing import digest_noise, digest_weights
from workbench.train.frozen_teacher import fit_space, token_reader
from workbench.train.log import record_steps
from workbench.train.loop import fit
from workbench.train.saving import Hooks, load_finished
from workbench.train.teacher_states import TeacherStates, read_states
from workbench.train.texts import TextBatch, fixed_cuts, load_texts

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.configs.vae import TextVAEConfig, VAELossConfig
    from workbench.config.run import RunConfig
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run, Study

NORMALISATION_TEXTS = 2048
SPACE_TEXTS = 512  # whose states measure the teacher's space, all in memory
ENCODE_BATCH = 128
SHARES = ("grad_share_recon", "grad_share_kl", "grad_share_repa")


class VAEObjective(nn.Module):
    """The whole forward pass of a step in one module, so it can be replicated over processes."""

    def __init__(self, vae: TextVAE, config: VAELossConfig, training: TrainingConfig) -> None:
        super().__init__()
        self.vae, self.config, self.schedule = vae, config, training

    def forward(
        self,
        batch: TextBatch,
        segments: Tensor | None,
        teacher: tuple[Tensor, Tensor] | None,
        step: int,
        generator: torch.Generator,
        watch_gradients: bool = False,
    ) -> dict[str, Tensor]:
        """Losses of a batch; `teacher` holds states (B, L, W) and their validity (B, L).

        Gradient shares are included only on request.
        """
        states, valid = teacher if teacher is not None else (None, None)
        losses = vae_loss(
            self.vae,
            batch.token_ids,
            batch.mask,
            self.config,
            step=step,
            num_steps=self.schedule.horizon(step),
            generator=generator,
            segments=segments,
            teacher_states=states,
            teacher_valid=valid,
            watch_gradients=watch_gradients,
        )._asdict()
        shares = losses.pop("gradient_shares")
        if watch_gradients:
            losses.update(zip(SHARES, shares, strict=True))
        if self.config.alignment != "gram":  # records stay what they were
            del losses["gram_error"]
        return losses


class VAETask:
    """Batches of the training split, their cuts and their teacher states."""

    name = "vae"

    def __init__(
        self,
        vae: TextVAE,
        config: RunConfig,
        corpus: Corpus,
        teacher: TeacherStates | None,
        plan: BatchPlan,
        place: Placement,
    ) -> None:
        self.model = vae
        self.objective = VAEObjective(vae, config.vae_loss, config.vae_training)
        self._config, self._split = config, corpus.split("train")
        self._eot = corpus.tokenizer.eot_id
        self._teacher, self._plan, self._place = teacher, plan, place

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """Losses at `step`, and this process's tokens times the number of processes."""
        place, context = self._place, self._config.context
        plan = self._plan.batch(step)
        indices = plan.indices[place.rank :: place.world_size]
        rng = np.random.default_rng([self._config.seed, 1, step, place.rank])
        lengths = self._split.lengths[indices]
        cuts = random_cuts(lengths, context.cut_low, context.cut_high, rng)
        batch = load_texts(self._split, indices, plan.length, cuts)
        batch = _truncated(batch, context.truncation_prob, self._eot, rng).to(place.device)
        apart = rng.random() < context.split_prob
        teacher = None
        if self._teacher is not None:
            states, valid = self._teacher.gather(indices, plan.length)
            teacher = (states.to(place.device), valid.to(place.device) & batch.mask)
        generator = step_generator(place.device, self._config.seed, "vae", step, place.rank)
        segments = batch.segments if apart else None
        watch = self._ends_interval(step)
        metrics = objective(batch, segments, teacher, step, generator, watch)
        return metrics, batch.token_ids.numel() * place.world_size

    def _ends_interval(self, step: int) -> bool:
        """Whether a record follows this step, which makes gradient shares worth their cost."""
        training = self._config.vae_training
        return (step + 1) % training.log_every == 0 or step + 1 == training.num_steps


def _truncated(
    batch: TextBatch, probability: float, eot: int, rng: np.random.Generator
) -> TextBatch:
    """Cut each text at a random length with `probability`; the rest becomes end-of-text."""
    if probability == 0:
        return batch
    lengths = batch.mask.sum(1)
    shares = torch.from_numpy(rng.random(len(lengths)))
    shorter = (1 + (shares * lengths).long()).clamp(max=lengths)
    chosen = torch.from_numpy(rng.random(len(lengths)) < probability)
    new_lengths = torch.where(chosen, shorter, lengths)
    mask = torch.arange(batch.mask.shape[1]) < new_lengths[:, None]
    return TextBatch(batch.token_ids.masked_fill(~mask, eot), mask, batch.cuts)


def vae_config(config: RunConfig, corpus: Corpus, teacher_width: int) -> TextVAEConfig:
    """The VAE's settings, completed with what the corpus and the teacher determine."""
    import dataclasses

    return dataclasses.replace(
        config.vae,
        vocab_size=corpus.vocab_size,
        window=corpus.window,
        teacher_width=teacher_width,
    )


def build_vae(config: TextVAEConfig, seed: int, place: Placement) -> TextVAE:
    """A VAE whose initial weights depend only on its settings and `seed`."""
    return TextVAE(config, torch.Generator().manual_seed(seed)).to(place.device)


def teacher_width(study: Study, config: RunConfig) -> int:
    """Width of the run's teacher or, without one, of the study's first, so that twins match."""
    for candidate in [config, *(run.config for run in study.runs)]:
        if needs_teacher(candidate):
            report = read_json(study.teacher_dir(candidate) / "report.json")
            return int(report["width"])
    return config.vae.teacher_width or config.vae.projector_width


def vae_fingerprint(run: Run, training: TrainingConfig | None = None) -> str:
    """Fingerprint of the VAE stage, optionally with another `training`."""
    corpus = run.study.corpus
    config = run.config
    teacher, content = None, []
    if reads_teacher(config):
        teacher, stored = config.teacher, stored_content(run.study.teacher_dir(config))
        content = [stored] if stored is not None else []
    return stage_fingerprint(
        corpus.manifest["content_hash"],
        config.vae,
        config.vae_loss,
        (training or config.vae_training).identity,
        config.context,
        teacher,
        config.seed,
        *content,
    )


class Normalising(Hooks):
    """Stores the latents' mean and standard deviation in the final weights."""

    def __init__(self, run: Run, place: Placement) -> None:
        self._run, self._place = run, place

    def before_last_save(self, weights: nn.Module) -> None:
        """Measure them on training texts."""
        normalise_latents(weights, self._run, self._place)


def train_vae(run: Run, context: StageContext) -> TextVAE:
    """Train the run's VAE, or load it if it is done.

    Raises:
        StopRequested, NumericalError, ValueError: see `training.fit`.
    """
    corpus = run.study.corpus
    config, training = run.config, run.config.vae_training
    print_ = vae_fingerprint(run)
    if load_finished(run.vae_dir, training.num_steps, print_, restart=context.restart):
        return load_vae(run, context.place)
    vae = untrained_vae(run, context.place)
    split = corpus.split("train")
    plan = BatchPlan(
        split.lengths,
        corpus.window,
        BatchConfig(batch_size=training.batch_size, bucket_multiple=training.bucket_multiple),
        config.seed,
    )
    teacher = None
    if aligns_latents(config):
        teacher = read_states(run.study, config, "train")
    if context.place.is_main:
        _record_pairing(run, vae, plan)
    records = fit(
        VAETask(vae, config, corpus, teacher, plan, context.place),
        training,
        run.vae_dir,
        context.place,
        fingerprint=print_,
        beginnings=[vae_fingerprint(run, shorter) for shorter in training.beginnings],
        stop=context.stop,
        hooks=Normalising(run, context.place),
        restart=context.restart,
    )
    record_steps(records, "vae", run.directory, context)
    return load_vae(run, context.place)


def untrained_vae(run: Run, place: Placement) -> TextVAE:
    """The run's VAE before its first training step."""
    vae = _new_vae(run, place)
    if in_teacher_space(run.config):
        fit_space(vae, first_texts(run, SPACE_TEXTS, place))
    return vae


def _new_vae(run: Run, place: Placement) -> TextVAE:
    """As `untrained_vae`; the teacher's space, where it has one, is not measured yet."""
    sizes = vae_config(run.config, run.study.corpus, teacher_width(run.study, run.config))
    vae = build_vae(sizes, run.config.seed, place)
    if in_teacher_space(run.config):
        vae.reader = token_reader(run, place)
    return vae


def load_vae(run: Run, place: Placement) -> TextVAE:
    """The run's trained VAE.

    Raises:
        InputError: it is not trained yet.
    """
    print_ = vae_fingerprint(run)
    finished = load_finished(run.vae_dir, run.config.vae_training.num_steps, print_)
    if finished is None:
        raise InputError(f"{run.vae_dir}: not trained yet; run `train-vae` first")
    vae = _new_vae(run, place)
    vae.load_state_dict(finished.model)
    return vae.eval()


def _record_pairing(run: Run, vae: TextVAE, plan: BatchPlan) -> None:
    num_steps = run.config.vae_training.num_steps
    update_json(
        run.directory / "run.json",
        {
            "arm": run.arm,
            "seed": run.seed,
            "config": settings.to_dict(run.config),
            "pairing": {
                "init.vae": digest_weights(vae),
                "data_order.vae": plan.order_hash(num_steps)[:16],
                "noise.vae": digest_noise(run.config.seed, "vae", num_steps),
            },
        },
    )


@torch.inference_mode()
def normalise_latents(vae: nn.Module, run: Run, place: Placement) -> None:
    """Store the mean and std of z per channel in the VAE, over whole windows as the flow sees them.

    The variance is that of mu over positions plus the mean posterior variance, so z (not mu) has
    unit variance in the flow's units.
    """
    assert isinstance(vae, TextVAE)
    total = torch.zeros(3, vae.config.latent_width, dtype=torch.float64)
    count = 0
    for batch, segments in first_texts(run, NORMALISATION_TEXTS, place):
        posterior = vae.encode(batch.token_ids, segments)
        mu = posterior.mu.double().flatten(0, 1).cpu()
        variance = posterior.logvar.double().exp().flatten(0, 1).cpu()
        total += torch.stack([mu.sum(0), mu.square().sum(0), variance.sum(0)])
        count += len(mu)
    mean = total[0] / count
    std = (total[1] / count - mean.square() + total[2] / count).clamp(min=0).sqrt()
    vae.set_normalisation(mean.float(), std.float())


def first_texts(
    run: Run, count: int, place: Placement
) -> Iterator[tuple[TextBatch, Tensor | None]]:
    """Batches of the first `count` training texts, and their segments as for latents."""
    corpus, context = run.study.corpus, run.config.context
    split = corpus.split("train")
    indices = np.arange(min(count, len(split)))
    cuts = fixed_cuts(split.lengths[indices], context, 0, run.config.seed)
    for start in range(0, len(indices), ENCODE_BATCH):
        rows = slice(start, start + ENCODE_BATCH)
        batch = load_texts(split, indices[rows], corpus.window, cuts[rows]).to(place.device)
        yield batch, None if context.joint else batch.segments
