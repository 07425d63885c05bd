"""Train a generator of any family on the study's tokens, by the loop that trains all models."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from data.batches import BatchConfig, BatchPlan
from models.teachers.content import content_hash
from models.teachers.pretrained import local_directory
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.machine.seeds import step_generator
from workbench.store.checkpoints import list_checkpoints
from workbench.store.new_checkpoint import save_checkpoint
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
        *_released_content(config.weights),
    )


def _released_content(weights: str) -> list[str]:
    """Hash of the files of released weights that are on this machine; nothing without any."""
    if not weights:
        return []
    directory = local_directory(weights)
    return [weights, "" if directory is None else content_hash(directory)]


def build_generator(run: GeneratorRun, place: Placement) -> Any:
    """A network whose initial weights depend only on its settings and the seed."""
    corpus, config = run.study.corpus, run.config
    sizes = dataclasses.replace(config.network, vocab_size=corpus.vocab_size, window=corpus.window)
    return config.kind.model()(sizes, torch.Generator().manual_seed(run.seed)).to(place.device)


def train_generator(run: GeneratorRun, context: StageContext) -> None:
    """Train a generator, or read its released weights; done once per seed.

    Raises:
        StopRequested, NumericalError, ValueError: see `training.fit`; or the weights do not fit.
    """
    training, print_ = run.config.training, generator_fingerprint(run)
    if load_finished(run.model_dir, training.num_steps, print_, restart=context.restart):
        return
    if run.config.weights:
        if context.place.is_main:
            _store_released(run, print_)
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


def _store_released(run: GeneratorRun, fingerprint: str) -> None:
    """Keep released weights, cut to the corpus's tokens, as the one checkpoint of a generator."""
    corpus, kind = run.study.corpus, run.config.kind
    assert kind.released is not None
    kept = corpus.tokenizer.kept_ids.tolist(), corpus.tokenizer.kept_pieces
    reader: Any = kind.released()
    model = reader.from_released(run.config.weights, *kept, corpus.window)
    save_checkpoint(
        run.model_dir,
        run.config.training.num_steps,
        model.state_dict(),
        None,
        {"fingerprint": fingerprint, "released": run.config.weights},
        files={"config.json": json.dumps(dataclasses.asdict(model.config), indent=2)},
    )


def load_trained(run: GeneratorRun, place: Placement) -> Any:
    """The trained network, in evaluation mode.

    Raises:
        InputError: it is not trained yet.
    """
    num_steps = run.config.training.num_steps
    finished = load_finished(run.model_dir, num_steps, generator_fingerprint(run))
    if finished is None:
        raise InputError(f"{run.model_dir}: not trained yet; run `study` on its study first")
    released = run.config.kind.released
    if run.config.weights and released is not None:
        reader: Any = released()
        return reader.from_pretrained(list_checkpoints(run.model_dir)[-1]).to(place.device)
    model = build_generator(run, place)
    model.load_state_dict(finished.model)
    return model.eval()
