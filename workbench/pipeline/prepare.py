"""The first stages of a study: its corpus on disk, and the teacher's states of that corpus."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.configs.teacher import HF_PREFIX
from workbench.config.study import needs_teacher
from workbench.errors import InputError, NumericalError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.pipeline.disk_estimate import CountedTexts, expected_characters, stored_bytes
from workbench.store.atomic import publish
from workbench.store.checkpoints import list_checkpoints
from workbench.store.faults import check_room
from workbench.store.manifest import is_complete
from workbench.study.model_content import (
    PIECES,
    TEACHER,
    is_exchanged,
    pieces_content,
    stored_content,
    teacher_content,
)

if TYPE_CHECKING:
    from torch import Tensor

    from data.corpora import CorpusConfig
    from data.corpus_store import Corpus, Split
    from models.configs.teacher import TeacherConfig
    from models.teachers import Teacher, TokenStates
    from workbench.config.study import RunConfig
    from workbench.study.folders import Study

TEXTS_AT_ONCE = 4096
SPLITS = ("train", "valid", "test")


def source_hash(config: CorpusConfig) -> str:
    """Identity of what a corpus is read from, so that a changed source is noticed.

    A file by its bytes, docstrings by the versions of their packages; the rest by name alone.
    """
    if config.name == "file" and Path(config.path).is_file():
        with Path(config.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return _package_versions(config.packages) if config.name == "docs" else ""


def _package_versions(packages: Sequence[str]) -> str:
    """`name==version` of each distribution that holds one of these import packages."""
    from data.readers.docs import DEFAULT_PACKAGES

    holders = packages_distributions()
    names = {name for package in packages or DEFAULT_PACKAGES for name in holders.get(package, ())}
    return " ".join(f"{name}=={version(name)}" for name in sorted(names))


def corpus_fingerprint(config: RunConfig) -> str:
    """Fingerprint of the corpus stage: its settings, its source, and whose vocabulary it uses."""
    pieces = config.teacher.name if config.corpus.vocabulary == "teacher" else ""
    return stage_fingerprint(config.corpus, source_hash(config.corpus), pieces)


def prepare_corpus(study: Study, context: StageContext) -> Corpus:
    """Read, tokenise, split and store the study's corpus; done once.

    Raises:
        ResourceError: the disk has no room for it, by an estimate made before it is read and, for
            sources that do not tell, again before it is written.
        ValueError: the source is unusable, or changed under a study that already trained on it.
    """
    from data.corpora import load_documents
    from data.corpus_store import open_corpus, write_corpus
    from data.tokenization import build_tokenizer

    config = study.config.base
    print_ = corpus_fingerprint(config)
    pieces = pieces_content(config)
    exchanged = is_exchanged(study.corpus_dir, pieces, PIECES)
    if is_complete(study.corpus_dir, print_) and not exchanged:
        return open_corpus(study.corpus_dir)
    if study.corpus_dir.exists() and (study.directory / "arms").exists():
        raise InputError(
            f"{study.corpus_dir}: the corpus, its settings or its tokeniser changed under a study "
            "that has trained on it; use another --out for the new corpus"
        )
    context.reporter.update("corpus", 0, 1, {})
    teacher_json = None
    if config.corpus.vocabulary == "teacher":
        teacher_json = tokenizer_file(config.teacher)
    expected = expected_characters(config.corpus)
    if expected is not None:
        check_room(study.corpus_dir, stored_bytes(expected))
    texts = CountedTexts(document.text for document in load_documents(config.corpus))
    with context.stop.interrupting("corpus"):
        tokenizer = build_tokenizer(texts, config.corpus, teacher_json)
    check_room(study.corpus_dir, stored_bytes(texts.num_characters))
    pieces = pieces_content(config)  # they may have been fetched just now
    meta = {"fingerprint": print_, PIECES: pieces}
    with (
        publish(study.corpus_dir, meta=meta) as directory,
        context.stop.interrupting("corpus"),
    ):
        # Read a second time: a corpus need not fit in memory.
        write_corpus(load_documents(config.corpus), tokenizer, config.corpus, directory)
    corpus = open_corpus(study.corpus_dir)
    context.reporter.update("corpus", 1, 1, {"texts": len(corpus.split("train"))})
    return corpus


def tokenizer_file(config: TeacherConfig) -> Path:
    """The teacher's `tokenizer.json`; teachers without one of their own use MiniLM's pieces."""
    from models.teachers.pretrained import find_model, minilm_directory

    if config.name.startswith(HF_PREFIX):
        return find_model(config.name.removeprefix(HF_PREFIX)) / "tokenizer.json"
    return minilm_directory() / "tokenizer.json"


def teacher_key(config: TeacherConfig) -> str:
    """Folder name of a teacher's states: name and layer, and the seed of one that is random."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in config.name)
    seed = f"-seed{config.seed}" if config.name == "random" else ""
    return f"{plain}-layer{config.layer}{seed}"


def teacher_fingerprint(study: Study, config: TeacherConfig, corpus: Corpus) -> str:
    """Fingerprint of a teacher's states; how they are standardised and permuted comes later."""
    from workbench.train.language_model import language_model_fingerprint

    parts: list[Any] = [config.name, config.layer, corpus.manifest["content_hash"]]
    if config.name == "random":
        parts.append(config.seed)
    if config.name == "own":
        parts.append(language_model_fingerprint(study, corpus))
    return stage_fingerprint(*parts)


def prepare_teacher(study: Study, config: RunConfig, corpus: Corpus, context: StageContext) -> Path:
    """Store the teacher's hidden state of every token as memory-mapped bfloat16.

    Files: `<split>.npy` (tokens, width) uint16 holding bfloat16 bits, `<split>-valid.npy`,
    `standardiser.safetensors`, `report.json` (width, anisotropy, masked tokens).

    Raises:
        NumericalError: more than 0.1 % of the states are missing, zero or not finite.
        ResourceError: the disk has no room for them.
        ValueError: the teacher cannot be had, or lacks the layer; or its files were exchanged
            under runs that are aligned with it.
    """
    directory = study.teacher_dir(config)
    if states_fit(study, config, corpus, directory):
        if teacher_content(study, config.teacher, corpus) is None:
            context.reporter.note(
                f"teacher {config.teacher.name} is not on this machine: its stored states are used"
            )
        return directory
    _refuse_exchange(study, config, corpus)
    print_ = teacher_fingerprint(study, config.teacher, corpus)
    with context.stop.interrupting("teacher states"):
        teacher = _load_teacher(study, config.teacher, corpus, context)
    check_room(directory, teacher_bytes(corpus, teacher.width))
    content = teacher_content(study, config.teacher, corpus)
    with publish(directory, meta={"fingerprint": print_, TEACHER: content}) as folder:
        report = _write_states(teacher, config.teacher, corpus, folder, context)
        (folder / "report.json").write_text(json.dumps(report, indent=2, sort_keys=True))
    return directory


def states_fit(study: Study, config: RunConfig, corpus: Corpus, directory: Path) -> bool:
    """Whether `directory` holds the states of this teacher, and of the files it has here."""
    print_ = teacher_fingerprint(study, config.teacher, corpus)
    if not is_complete(directory, print_):
        return False
    return not is_exchanged(directory, teacher_content(study, config.teacher, corpus))


def _refuse_exchange(study: Study, config: RunConfig, corpus: Corpus) -> None:
    """States of other files would not be those that runs were aligned with.

    Raises:
        InputError: naming the states and both hashes.
    """
    directory = study.teacher_dir(config)
    present = teacher_content(study, config.teacher, corpus)
    aligned = [run for run in study.runs if needs_teacher(run.config)]
    trained = [
        run
        for run in aligned
        if study.teacher_dir(run.config) == directory and list_checkpoints(run.vae_dir)
    ]
    if trained and is_exchanged(directory, present):
        raise InputError(
            f"{directory}: the files of teacher {config.teacher.name} changed under runs that are "
            f"aligned with it (content {stored_content(directory)}, now {present}); put the former "
            "back, or use another --out or --fork"
        )


def teacher_bytes(corpus: Corpus, width: int) -> int:
    """Bytes of a teacher's states of every token, in bfloat16."""
    return sum(int(corpus.split(name).lengths.sum()) for name in SPLITS) * width * 2


def _load_teacher(
    study: Study, config: TeacherConfig, corpus: Corpus, context: StageContext
) -> Teacher:
    from models.teachers import OwnBackbone, load_teacher
    from workbench.train.language_model import load_language_model

    own = None
    if config.name == "own":
        model = load_language_model(study, corpus, context.place)
        own = OwnBackbone(model, corpus.tokenizer.encode_batch)
    return load_teacher(config, context.place.device, own)


def _write_states(
    teacher: Teacher, config: TeacherConfig, corpus: Corpus, folder: Path, context: StageContext
) -> dict[str, Any]:
    from models.teachers import RunningMoments, Standardiser, StateTally, anisotropy

    moments, tally = RunningMoments(teacher.width), StateTally()
    sample: list[Tensor] = []
    for name in SPLITS:
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
            block = batch.states[config.layer]
            first = np.repeat(rows_before[batch.indices], batch.lengths)
            within = np.arange(len(first)) - np.repeat(
                np.cumsum(batch.lengths) - batch.lengths, batch.lengths
            )
            rows = first + within
            states[rows] = block.to(torch.bfloat16).view(torch.uint16).numpy()
            valid[rows] = batch.valid.numpy()
            tally.add(batch)
            if name == "train":
                moments.update(block[batch.valid])
                sample.append(block[batch.valid][:32])
        states.flush()
        np.save(folder / f"{name}-valid.npy", valid)
    if tally.too_many_bad:
        raise NumericalError(
            f"teacher {config.name}: {tally.num_bad} of {tally.num_tokens} states are zero or not "
            "finite; use another layer or teacher"
        )
    Standardiser.from_moments("dimension", moments).save(folder / "standardiser.safetensors")
    return {
        "teacher": config.name,
        "layer": config.layer,
        "width": teacher.width,
        "num_tokens": tally.num_tokens,
        "masked_tokens": tally.num_tokens - tally.num_valid,
        "anisotropy": dataclasses.asdict(anisotropy(torch.cat(sample)[:8192])),
    }


def _batches(teacher: Teacher, split: Split) -> Iterator[tuple[int, TokenStates]]:
    """States of a split, a few thousand texts in memory at a time; indices are the split's."""
    done = 0
    for start in range(0, len(split), TEXTS_AT_ONCE):
        indices = np.arange(start, min(start + TEXTS_AT_ONCE, len(split)))
        texts, offsets = split.texts(indices), split.token_offsets(indices)
        for batch in teacher.iter_token_states(texts, offsets):
            done += len(batch.indices)
            yield done, dataclasses.replace(batch, indices=batch.indices + start)
