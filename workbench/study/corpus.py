"""The corpus stage: texts are read, tokenised, split and stored once per study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.splits import SPLITS
from workbench.config import settings
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.store.atomic import publish
from workbench.store.checkpoints import list_checkpoints
from workbench.store.faults import check_room
from workbench.store.manifest import is_complete
from workbench.study.corpus_source import source_hash, source_name
from workbench.study.disk_estimate import CountedTexts, expected_characters, stored_bytes
from workbench.study.model_content import (
    PIECES_CONTENT,
    is_exchanged,
    pieces_content,
    stored_content,
)

if TYPE_CHECKING:
    from data.corpora import CorpusConfig
    from data.corpus_store import Corpus
    from models.configs.teacher import TeacherConfig
    from workbench.config.run import RunConfig
    from workbench.study.folders import Study

SOURCE = "source"  # in the manifest's meta: the source's hash
LEAST_TESTED = 8  # comparing two spaces needs 4 texts, and only half may be probed


def corpus_fingerprint(config: RunConfig, source: str) -> str:
    """Fingerprint of the corpus stage: its settings, its source, and whose vocabulary it uses."""
    pieces = config.teacher.name if config.corpus.vocabulary == "teacher" else ""
    return stage_fingerprint(config.corpus, source, pieces)


def stored_fingerprint(directory: Path, config: RunConfig, source: str | None) -> str | None:
    """Fingerprint of the stored corpus if it has these settings and this `source`, else None.

    If the source is missing (None), a corpus stored with these settings counts. So does one whose
    source an earlier release did not check (`~`, local data sets).

    Raises:
        DamagedArtefactError: the stored corpus is damaged.
    """
    known = stored_content(directory, SOURCE)
    candidates = [source or ""]
    if known is None:
        candidates.append("")  # from an earlier release
    elif source is None:
        candidates.append(known)
    for print_ in (corpus_fingerprint(config, candidate) for candidate in candidates):
        if is_complete(directory, print_):
            return print_
    if known is None and source is None and stored_settings(directory) == config.corpus:
        return stored_content(directory, "fingerprint")
    return None


def accepted_fingerprint(config: RunConfig, directory: Path) -> str:
    """The fingerprint that the corpus stored in `directory` needs to match `config`."""
    source = source_hash(config.corpus)
    stored = stored_fingerprint(directory, config, source)
    return stored or corpus_fingerprint(config, source or "")


def stored_settings(directory: Path) -> CorpusConfig | None:
    """Settings of a stored corpus; None if this release could not have made it."""
    from data.corpora import CorpusConfig
    from data.corpus_store import open_corpus

    try:
        return settings.build(CorpusConfig, open_corpus(directory).manifest["config"])
    except (KeyError, ValueError):
        return None


def prepare_corpus(study: Study, context: StageContext) -> Corpus:
    """Read, tokenise, split and store the study's corpus; done once.

    Raises:
        ResourceError: the disk has no room. The size is estimated before reading or, where the
            source does not give it away, before writing.
        ValueError: the source cannot be used, holds too little to test on, or changed after the
            study trained on it.
    """
    from data.corpora import load_documents
    from data.corpus_store import open_corpus, write_corpus
    from data.tokenization import build_tokenizer

    config, source = study.config.base, source_hash(study.config.base.corpus)
    exchanged = is_exchanged(study.corpus_dir, pieces_content(config), PIECES_CONTENT)
    if stored_fingerprint(study.corpus_dir, config, source) and not exchanged:
        if source is None:
            context.reporter.note(
                f"{source_name(config.corpus)} is missing: using its stored texts"
            )
        return open_corpus(study.corpus_dir)
    if study.corpus_dir.exists() and _is_trained_on(study):
        raise InputError(
            f"{study.corpus_dir}: {_what_changed(study, source, exchanged)} changed after the "
            "study trained on it; put the former back, or use another --out for the new corpus"
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
    print_ = corpus_fingerprint(config, source or "")
    meta = {"fingerprint": print_, SOURCE: source or "", PIECES_CONTENT: pieces}
    with (
        publish(study.corpus_dir, meta=meta) as directory,
        context.stop.interrupting("corpus"),
    ):
        # The source is read a second time because a corpus may not fit in memory.
        write_corpus(load_documents(config.corpus), tokenizer, config.corpus, directory)
        if source_hash(config.corpus) != source:
            name = source_name(config.corpus)
            raise InputError(f"{name}: changed while it was read; start again when it is complete")
        _refuse_too_little(open_corpus(directory), config.corpus)
    corpus = open_corpus(study.corpus_dir)
    context.reporter.update("corpus", 1, 1, {"texts": len(corpus.split("train"))})
    return corpus


def _refuse_too_little(corpus: Corpus, config: CorpusConfig) -> None:
    """Refuse a corpus with too few held-out texts: a study scores its texts against them.

    Raises:
        InputError: says how many texts there are, and how many are needed.
    """
    usable = int((corpus.split("test").lengths >= 2).sum())
    if usable >= LEAST_TESTED:
        return
    distinct = len(np.unique(np.concatenate([corpus.split(name).keys for name in SPLITS])))
    held_out = "raise corpus.test_fraction (now 0)"
    if config.test_fraction:
        wanted = math.ceil(2 * LEAST_TESTED / config.test_fraction)
        held_out = f"give {wanted} or more distinct texts, or raise corpus.test_fraction"
        held_out += f" (now {config.test_fraction:g})"
    raise InputError(
        f"{source_name(config)}: too little to test on: of {distinct} distinct text(s), {usable} "
        f"of two or more tokens are held out, and a study needs {LEAST_TESTED}: {held_out}"
    )


def _is_trained_on(study: Study) -> bool:
    """Whether the training of a run or of the judge has begun."""
    arms = study.directory / "arms"
    return arms.exists() or bool(list_checkpoints(study.language_model_dir))


def _what_changed(study: Study, source: str | None, exchanged: bool) -> str:
    """How the stored corpus differs from the requested one."""
    config = study.config.base.corpus
    if exchanged:
        return "its tokeniser"
    if stored_settings(study.corpus_dir) != config:
        missing = f" ({source_name(config)} is missing too)" if source is None else ""
        return f"the corpus's settings{missing}"
    return f"its source {source_name(config)}" if source else "its source or its tokeniser"


def tokenizer_file(config: TeacherConfig) -> Path:
    """The teacher's `tokenizer.json`; a teacher without one uses MiniLM's word pieces."""
    from models.teachers.pretrained import model_directory

    return model_directory(config.name) / "tokenizer.json"
