"""The corpus stage: texts are read, tokenised, split and stored once per study."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from models.configs.teacher import HF_PREFIX
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.store.atomic import publish
from workbench.store.faults import check_room
from workbench.store.manifest import is_complete
from workbench.study.disk_estimate import CountedTexts, expected_characters, stored_bytes
from workbench.study.model_content import (
    PIECES_CONTENT,
    is_exchanged,
    pieces_content,
)

if TYPE_CHECKING:
    from data.corpora import CorpusConfig
    from data.corpus_store import Corpus
    from models.configs.teacher import TeacherConfig
    from workbench.config.study import RunConfig
    from workbench.study.folders import Study


def source_hash(config: CorpusConfig) -> str:
    """Identity of a corpus's source, so that a changed source is noticed.

    Files count by their bytes, docstrings by the versions of their packages, the rest by name.
    """
    if config.name == "file" and Path(config.path).is_file():
        with Path(config.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return _package_versions(config.packages) if config.name == "docs" else ""


def _package_versions(packages: Sequence[str]) -> str:
    """`name==version` of each distribution that provides one of these import packages."""
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
        ResourceError: the disk has no room. The size is estimated before reading or, where the
            source does not give it away, before writing.
        ValueError: the source cannot be used, or it changed after the study trained on it.
    """
    from data.corpora import load_documents
    from data.corpus_store import open_corpus, write_corpus
    from data.tokenization import build_tokenizer

    config = study.config.base
    print_ = corpus_fingerprint(config)
    pieces = pieces_content(config)
    exchanged = is_exchanged(study.corpus_dir, pieces, PIECES_CONTENT)
    if is_complete(study.corpus_dir, print_) and not exchanged:
        return open_corpus(study.corpus_dir)
    if study.corpus_dir.exists() and (study.directory / "arms").exists():
        raise InputError(
            f"{study.corpus_dir}: the corpus, its settings or its tokeniser changed after the "
            "study trained on it; use another --out for the new corpus"
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
    meta = {"fingerprint": print_, PIECES_CONTENT: pieces}
    with (
        publish(study.corpus_dir, meta=meta) as directory,
        context.stop.interrupting("corpus"),
    ):
        # The source is read a second time because a corpus may not fit in memory.
        write_corpus(load_documents(config.corpus), tokenizer, config.corpus, directory)
    corpus = open_corpus(study.corpus_dir)
    context.reporter.update("corpus", 1, 1, {"texts": len(corpus.split("train"))})
    return corpus


def tokenizer_file(config: TeacherConfig) -> Path:
    """The teacher's `tokenizer.json`; a teacher without one uses MiniLM's word pieces."""
    from models.teachers.pretrained import find_model, minilm_directory

    if config.name.startswith(HF_PREFIX):
        return find_model(config.name.removeprefix(HF_PREFIX)) / "tokenizer.json"
    return minilm_directory() / "tokenizer.json"
