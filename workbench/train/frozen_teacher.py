"""A study's teacher, ready to read texts; and the teacher's own space as a run's latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workbench.train.language_model import load_language_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from models.configs.teacher import TeacherConfig
    from models.teachers import Teacher
    from models.teachers.token_reader import TokenReader
    from models.text_vae import TextVAE
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run, Study
    from workbench.train.texts import TextBatch


def load_frozen(study: Study, config: TeacherConfig, place: Placement) -> Teacher:
    """The teacher that `config` names.

    Raises:
        InputError: it is the study's own language model, which is not trained yet.
        ValueError: its files are missing, or it has no such layer.
    """
    from models.teachers import OwnBackbone, load_teacher

    own = None
    if config.name == "own":
        model = load_language_model(study, place)
        own = OwnBackbone(model, study.corpus.tokenizer.encode_batch)
    return load_teacher(config, place.device, own)


def token_reader(run: Run, place: Placement) -> TokenReader:
    """The reader of a run whose latents are its teacher's own space."""
    from models.teachers.token_reader import TokenReader

    corpus, teacher = run.study.corpus, run.config.teacher
    ids = torch.from_numpy(corpus.tokenizer.original_ids)
    if teacher.name == "own":  # reads the corpus's own ids, all but end-of-text
        ids = torch.arange(corpus.vocab_size).masked_fill(ids < 0, -1)
    backbone = load_frozen(run.study, teacher, place).backbone
    return TokenReader(backbone, ids, run.config.vae.space_layers, corpus.window)


def fit_space(vae: TextVAE, batches: Iterable[tuple[TextBatch, Tensor | None]]) -> None:
    """Measure the space's means, deviations and components on texts and their segments."""
    found = []
    for batch, segments in batches:
        states, valid = vae.read_teacher(batch.token_ids, segments)
        found.append(states[valid])
    vae.space.fit(torch.cat(found))
