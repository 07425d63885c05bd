"""The judging language model: a small causal Transformer trained on the study's own corpus.

It scores continuations in nats per token, serves as the autoregressive baseline, and can be the
`own` teacher. All arms share it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from data.batches import BatchConfig, BatchPlan
from models.language_model import CausalLM
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.train.log import record_steps
from workbench.train.loop import fit
from workbench.train.saving import load_finished

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.config.run import RunConfig
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement
    from workbench.study.folders import Study


class LanguageModelObjective(nn.Module):
    """Cross entropy of every next token, including the first end-of-text."""

    def __init__(self, model: CausalLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The loss of texts (B, L) in nats per token."""
        return {"loss": self.model.loss(token_ids, mask)}


class LanguageModelTask:
    """Batches of the training split."""

    name = "language_model"

    def __init__(
        self, model: CausalLM, config: RunConfig, corpus: Corpus, place: Placement
    ) -> None:
        self.model, self.objective = model, LanguageModelObjective(model)
        self._split, self._place = corpus.split("train"), place
        training = config.language_model_training
        self._plan = BatchPlan(
            self._split.lengths,
            corpus.window,
            BatchConfig(batch_size=training.batch_size, bucket_multiple=training.bucket_multiple),
            config.seed,
        )

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """Loss at `step`, and the tokens it covered."""
        batch = self._plan.batch(step)
        indices = batch.indices[self._place.rank :: self._place.world_size]
        token_ids, mask = self._split.padded(indices, batch.length)
        device = self._place.device
        metrics = objective(
            torch.from_numpy(token_ids).to(device), torch.from_numpy(mask).to(device)
        )
        return metrics, token_ids.size * self._place.world_size


def train_language_model(study: Study, context: StageContext) -> None:
    """Train the judge; done once per study."""
    corpus = study.corpus
    config = study.config.base
    training = config.language_model_training
    print_ = language_model_fingerprint(study)
    directory = study.language_model_dir
    if load_finished(directory, training.num_steps, print_, restart=context.restart):
        return
    model = _build(config, corpus, context.place)
    task = LanguageModelTask(model, config, corpus, context.place)
    records = fit(
        task,
        training,
        directory,
        context.place,
        fingerprint=print_,
        beginnings=[language_model_fingerprint(study, t) for t in training.beginnings],
        stop=context.stop,
        restart=context.restart,
    )
    record_steps(records, "language_model", study.directory, context)


def load_language_model(study: Study, place: Placement) -> CausalLM:
    """The trained judge.

    Raises:
        InputError: it is not trained yet.
    """
    corpus = study.corpus
    config = study.config.base
    found = load_finished(
        study.language_model_dir,
        config.language_model_training.num_steps,
        language_model_fingerprint(study),
    )
    if found is None:
        raise InputError(f"{study.language_model_dir}: not trained yet; run `prepare` first")
    model = _build(config, corpus, place)
    model.load_state_dict(found.model)
    return model.eval()


def language_model_fingerprint(study: Study, training: TrainingConfig | None = None) -> str:
    """Fingerprint of the stage, optionally with another `training`."""
    corpus = study.corpus
    config = study.config.base
    return stage_fingerprint(
        config.language_model,
        (training or config.language_model_training).identity,
        corpus.manifest["content_hash"],
        config.seed,
    )


def _build(config: RunConfig, corpus: Corpus, place: Placement) -> CausalLM:
    sizes = dataclasses.replace(
        config.language_model, vocab_size=corpus.vocab_size, window=corpus.window
    )
    return CausalLM(sizes, torch.Generator().manual_seed(config.seed)).to(place.device)
