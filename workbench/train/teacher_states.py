"""The teacher's hidden states of every token: stored once, then gathered for each batch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.configs.teacher import check_space_layers, is_untrained
from workbench.config.run import in_teacher_space, needs_teacher, reads_teacher
from workbench.errors import DamagedArtefactError, InputError, NumericalError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.store.atomic import publish
from workbench.store.checkpoints import list_checkpoints
from workbench.store.faults import check_room
from workbench.store.json_files import read_json
from workbench.store.manifest import MANIFEST, is_complete
from workbench.study.model_content import TEACHER_CONTENT, is_exchanged, stored_content
from workbench.train.frozen_teacher import load_frozen
from workbench.train.language_model import language_model_fingerprint, train_language_model

if TYPE_CHECKING:
    from data.corpus_store import Corpus, Split
    from models.configs.teacher import TeacherConfig
    from models.teachers import Teacher, TokenStates
    from workbench.config.run import RunConfig
    from workbench.study.folders import Study

TEXTS_AT_ONCE = 4096
SPLITS = ("train", "valid", "test")


def states_fingerprint(study: Study, config: TeacherConfig) -> str:
    """Fingerprint of a teacher's states, before they are standardised or permuted."""
    corpus = study.corpus
    parts: list[Any] = [config.name, config.layer, corpus.manifest["content_hash"]]
    if is_untrained(config.name):
        parts.append(config.seed)
    if config.name == "own":
        parts.append(language_model_fingerprint(study))
    return stage_fingerprint(*parts)


def prepare_teacher(study: Study, config: RunConfig, context: StageContext) -> Path:
    """Store the teacher's hidden state of every token in memory-mappable bfloat16 files.

    Files: `<split>.npy` (tokens, width) uint16 holding bfloat16 bits, `<split>-valid.npy`,
    `standardiser.safetensors`, `report.json` (width, anisotropy, masked tokens).

    Raises:
        NumericalError: more than 0.1 % of the states are missing, zero or not finite.
        ResourceError: the disk has no room for them.
        ValueError: the teacher is not available or lacks the layer, or layers that its space is
            over, or its files changed after runs were aligned with it.
    """
    corpus = study.corpus
    directory = study.teacher_dir(config)
    if states_fit(study, config, directory):
        _check_depth(config, read_json(directory / "report.json").get("num_layers"))
        if teacher_content(study, config.teacher) is None:
            context.reporter.note(
                f"teacher {config.teacher.name} is not on this machine: using its stored states"
            )
        return directory
    _refuse_exchange(study, config)
    print_ = states_fingerprint(study, config.teacher)
    with context.stop.interrupting("teacher states"):
        teacher = _load_teacher(study, config.teacher, context)
    _check_depth(config, teacher.num_layers)
    check_room(directory, teacher_bytes(corpus, teacher.width))
    content = teacher_content(study, config.teacher)
    with publish(directory, meta={"fingerprint": print_, TEACHER_CONTENT: content}) as folder:
        report = _write_states(teacher, config.teacher, corpus, folder, context)
        (folder / "report.json").write_text(json.dumps(report, indent=2, sort_keys=True))
    return directory


def store_held_out_states(study: Study, config: RunConfig, context: StageContext) -> None:
    """Store the states of the test split alone, for a study that trains nothing more.

    The teacher's folder already holds `standardiser.safetensors` and `report.json`; without the
    teacher's files nothing is stored.
    """
    content, directory = teacher_content(study, config.teacher), study.teacher_dir(config)
    if content is None or (directory / MANIFEST).is_file():
        return
    teacher = _load_teacher(study, config.teacher, context)
    print_ = states_fingerprint(study, config.teacher)
    with publish(directory, meta={"fingerprint": print_, TEACHER_CONTENT: content}) as folder:
        for file in directory.iterdir():
            shutil.copyfile(file, folder / file.name)
        for _ in _write_split(teacher, config.teacher, study.corpus, "test", folder, context):
            pass


def states_fit(study: Study, config: RunConfig, directory: Path) -> bool:
    """Whether `directory` holds states of this teacher, made from the files that are here."""
    print_ = states_fingerprint(study, config.teacher)
    if not is_complete(directory, print_):
        return False
    return not is_exchanged(directory, teacher_content(study, config.teacher))


def read_states(study: Study, config: RunConfig, split_name: str) -> TeacherStates:
    """The stored states of one split.

    Raises:
        DamagedArtefactError: what is stored are the states of another teacher or corpus.
    """
    directory = study.teacher_dir(config)
    if not is_complete(directory, states_fingerprint(study, config.teacher)):
        raise DamagedArtefactError(
            f"{directory}: not the states of teacher {config.teacher.name} at layer "
            f"{config.teacher.layer} on this corpus; run the study again to store them"
        )
    return TeacherStates(directory, split_name, study.corpus.split(split_name), config.teacher)


def _refuse_exchange(study: Study, config: RunConfig) -> None:
    """Refuse a teacher whose files changed: its states would not match the aligned runs.

    Raises:
        InputError: names the states and both hashes.
    """
    directory = study.teacher_dir(config)
    present = teacher_content(study, config.teacher)
    aligned = [run for run in study.runs if needs_teacher(run.config)]
    trained = [
        run
        for run in aligned
        if study.teacher_dir(run.config) == directory
        and list_checkpoints(run.vae_dir if reads_teacher(run.config) else run.flow_dir)
    ]
    if trained and is_exchanged(directory, present):
        raise InputError(
            f"{directory}: the files of teacher {config.teacher.name} changed after runs were "
            f"aligned with it (content {stored_content(directory)}, now {present}); restore the "
            "earlier files, or use another --out or --fork"
        )


def _check_depth(config: RunConfig, num_layers: int | None) -> None:
    """Refuse a teacher's space of more layers than it has; an earlier report does not tell."""
    if in_teacher_space(config) and num_layers is not None:
        check_space_layers(config.vae.space_layers, num_layers)


def teacher_bytes(corpus: Corpus, width: int) -> int:
    """Bytes that a teacher's states of every token take in bfloat16."""
    return sum(int(corpus.split(name).lengths.sum()) for name in SPLITS) * width * 2


def _load_teacher(study: Study, config: TeacherConfig, context: StageContext) -> Teacher:
    if config.name == "own":
        train_language_model(study, context)
    return load_frozen(study, config, context.place)


def _write_states(
    teacher: Teacher, config: TeacherConfig, corpus: Corpus, folder: Path, context: StageContext
) -> dict[str, Any]:
    from models.teachers import RunningMoments, Standardiser, StateTally, anisotropy

    moments, tally = RunningMoments(teacher.width), StateTally()
    sample: list[Tensor] = []
    for name in SPLITS:
        for batch in _write_split(teacher, config, corpus, name, folder, context):
            tally.add(batch)
            if name == "train":
                known = batch.states[config.layer][batch.valid]
                moments.update(known)
                sample.append(known[:32])
    if tally.too_many_bad:
        raise NumericalError(
            f"teacher {config.name}: {tally.num_bad} of {tally.num_tokens} states are zero or not "
            "finite; use another layer or teacher"
        )
    Standardiser.from_moments("dimension", moments).save(folder / "standardiser.safetensors")
    return {
        "teacher": config.name,
        "layer": config.layer,
        "num_layers": teacher.num_layers,
        "width": teacher.width,
        "num_tokens": tally.num_tokens,
        "masked_tokens": tally.num_tokens - tally.num_valid,
        "anisotropy": dataclasses.asdict(anisotropy(torch.cat(sample)[:8192])),
    }


def _write_split(
    teacher: Teacher,
    config: TeacherConfig,
    corpus: Corpus,
    name: str,
    folder: Path,
    context: StageContext,
) -> Iterator[TokenStates]:
    """Write the states of one split, yielding each batch once it is written."""
    split = corpus.split(name)
    num_tokens = int(split.lengths.sum())
    states = np.lib.format.open_memmap(
        folder / f"{name}.npy", mode="w+", dtype=np.uint16, shape=(num_tokens, teacher.width)
    )
    valid = np.zeros(num_tokens, bool)
    rows_before = np.cumsum(split.lengths) - split.lengths
    for done, batch in _batches(teacher, split):
        context.stop.check("teacher states")
        context.reporter.update(f"teacher states ({name})", done, len(split), {})
        first = np.repeat(rows_before[batch.indices], batch.lengths)
        within = np.arange(len(first)) - np.repeat(
            np.cumsum(batch.lengths) - batch.lengths, batch.lengths
        )
        rows = first + within
        states[rows] = batch.states[config.layer].to(torch.bfloat16).view(torch.uint16).numpy()
        valid[rows] = batch.valid.numpy()
        yield batch
    states.flush()
    np.save(folder / f"{name}-valid.npy", valid)


def _batches(teacher: Teacher, split: Split) -> Iterator[tuple[int, TokenStates]]:
    """States of a split with its text indices, a few thousand texts in memory at a time."""
    done = 0
    for start in range(0, len(split), TEXTS_AT_ONCE):
        indices = np.arange(start, min(start + TEXTS_AT_ONCE, len(split)))
        texts, offsets = split.texts(indices), split.token_offsets(indices)
        for batch in teacher.iter_token_states(texts, offsets):
            done += len(batch.indices)
            yield done, dataclasses.replace(batch, indices=batch.indices + start)


def teacher_content(study: Study, config: TeacherConfig) -> str | None:
    """Hash of this teacher's files; None if they are not here."""
    from models.teachers.content import ARCHITECTURE, EVERYTHING, content_hash
    from models.teachers.pretrained import local_directory

    if config.name == "own":
        return language_model_fingerprint(study)
    directory = local_directory(config.name)
    if directory is None:
        return None
    # An untrained teacher's weights are drawn from its seed.
    return content_hash(directory, ARCHITECTURE if is_untrained(config.name) else EVERYTHING)


class TeacherStates:
    """Memory-mapped states of one split, standardised as the teacher's config sets it.

    Args:
        directory: the folder that `prepare_teacher` wrote.
        split_name: `train`, `valid` or `test`.
        split: the corpus split that the states belong to.
        config: standardisation, and whether each text gets the states of another text.
    """

    def __init__(
        self, directory: Path, split_name: str, split: Split, config: TeacherConfig
    ) -> None:
        from models.teachers import Standardiser, derangement

        self._states = np.load(directory / f"{split_name}.npy", mmap_mode="r")
        self._valid = np.load(directory / f"{split_name}-valid.npy")
        self._lengths = np.asarray(split.lengths, np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._source = np.arange(len(split))
        if config.permuted:
            self._source = derangement(len(split), config.seed)
        stored = Standardiser.load(directory / "standardiser.safetensors")
        self._standardiser = dataclasses.replace(stored, mode=config.standardise)
        self.width = int(self._states.shape[1])

    def gather(self, indices: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
        """States of texts, padded.

        Args:
            indices: (B,) texts.
            length: L, the batch's padded length.

        Returns:
            (B, L, W) float32 states and (B, L) bool validity. It is False at padding and where the
            text (for a permuted teacher, the other text) has no state.
        """
        source = self._source[indices]
        covered = np.minimum(self._lengths[indices], self._lengths[source])
        column = np.arange(length)
        inside = column[None, :] < covered[:, None]
        rows = np.where(inside, self._starts[source][:, None] + column[None, :], 0)
        block = torch.from_numpy(np.asarray(self._states[rows.ravel()])).view(torch.bfloat16)
        states = block.view(len(indices), length, self.width).float()
        valid = torch.from_numpy(inside & self._valid[rows])
        return self._standardiser.apply(states, valid), valid
