"""Train a generator of any family on the study's tokens, by the loop that trains all models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from data.batches import BatchConfig, BatchPlan
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.machine.seeds import step_generator
from workbench.train.log import record_steps
from workbench.train.loop import fit
from workbench.train.saving import load_finished

if TYPE_CHECKING:
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement
    from workbench.study.generators import GeneratorRun

STAGE = "generator"


class GeneratorObjective(nn.Module):
    """The whole forward pass of a step in one module, so it can be replicated over processes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The family's loss of texts (B, L)."""
        return self.model.training_loss(token_ids, mask, generator)


class GeneratorTask:
    """Batches of the training split."""

    name = STAGE

    def __init__(self, model: Any, run: GeneratorRun, place: Placement) -> None:
        corpus, training = run.study.corpus, run.config.training
        self.model, self.objective = model, GeneratorObjective(model)
        self._split, self._place, self._seed = corpus.split("train"), place, run.seed
        self._plan = BatchPlan(
            self._split.lengths,
            corpus.window,
            BatchConfig(batch_size=training.batch_size, bucket_multiple=training.bucket_multiple),
            run.seed,
        )

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """Loss at `step`, and the tokens it covered."""
        place, batch = self._place, self._plan.batch(step)
        indices = batch.indices[place.rank :: place.world_size]
        token_ids, mask = self._split.padded(indices, batch.length)
        generator = step_generator(place.device, self._seed, STAGE, step, place.rank)
        metrics = objective(
            torch.from_numpy(token_ids).to(place.device),
            torch.from_numpy(mask).to(place.device),
            generator,
        )
        return metrics, token_ids.size * place.world_size


def generator_fingerprint(run: GeneratorRun, training: TrainingConfig | None = None) -> str:
    """Fingerprint of the training, optionally with another `training`."""
    config = run.config
    return stage_fingerprint(
        config.family,
        config.network,
        (training or config.training).identity,
        run.study.corpus.manifest["content_hash"],
        run.seed,
    )


def build_generator(run: GeneratorRun, place: Placement) -> Any:
    """A network whose initial weights depend only on its settings and the seed."""
    corpus, config = run.study.corpus, run.config
    sizes = dataclasses.replace(config.network, vocab_size=corpus.vocab_size, window=corpus.window)
    return config.kind.model()(sizes, torch.Generator().manual_seed(run.seed)).to(place.device)


def train_generator(run: GeneratorRun, context: StageContext) -> None:
    """Train a generator; done once per seed.

    Raises:
        StopRequested, NumericalError, ValueError: see `training.fit`.
    """
    training, print_ = run.config.training, generator_fingerprint(run)
    if load_finished(run.model_dir, training.num_steps, print_, restart=context.restart):
        return
    records = fit(
        GeneratorTask(build_generator(run, context.place), run, context.place),
        training,
        run.model_dir,
        context.place,
        fingerprint=print_,
        beginnings=[generator_fingerprint(run, t) for t in training.beginnings],
        stop=context.stop,
        restart=context.restart,
    )
    record_steps(records, STAGE, run.directory, context)


def load_trained(run: GeneratorRun, place: Placement) -> Any:
    """The trained network, in evaluation mode.

    Raises:
        InputError: it is not trained yet.
    """
    num_steps = run.config.training.num_steps
    finished = load_finished(run.model_dir, num_steps, generator_fingerprint(run))
    if finished is None:
        raise InputError(f"{run.model_dir}: not trained yet; run `study` on its study first")
    model = build_generator(run, place)
    model.load_state_dict(finished.model)
    return model.eval()
