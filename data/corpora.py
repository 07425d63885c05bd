"""Corpora: a registry from a corpus's name to the reader of its documents.

Readers stream: no corpus is ever held in memory as a whole. What a reader hands over is trimmed,
kept if it is long enough, and cut where one document is longer than memory should bear.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from data.corpus_config import CorpusConfig
from data.documents import Document
from data.windows import cut_passages

__all__ = ["CORPORA", "CorpusConfig", "known_fact_values", "load_documents"]

NUM_STORIES = 12_000
MAX_DOCUMENT_CHARACTERS = 1 << 20
"""A longer text is cut here into several documents, so that one never fills the memory."""


def _read_stories(config: CorpusConfig) -> Iterator[Document]:
    from data.stories import StoriesConfig, generate_stories

    num_documents = config.num_documents or NUM_STORIES
    return generate_stories(StoriesConfig(num_documents=num_documents, seed=config.seed))


def _read_docs(config: CorpusConfig) -> Iterator[Document]:
    from data.readers.docs import read_docs

    return read_docs(config)


def _read_glosses(config: CorpusConfig) -> Iterator[Document]:
    from data.readers.wordnet import read_glosses

    return read_glosses(config)


def _read_file(config: CorpusConfig) -> Iterator[Document]:
    from data.readers.file import read_file

    return read_file(config)


def _read_hugging_face(config: CorpusConfig) -> Iterator[Document]:
    from data.readers.huggingface import read_hugging_face

    return read_hugging_face(config)


CORPORA: dict[str, Callable[[CorpusConfig], Iterator[Document]]] = {
    "stories": _read_stories,
    "docs": _read_docs,
    "glosses": _read_glosses,
    "file": _read_file,
    "hf": _read_hugging_face,
}


def known_fact_values(config: CorpusConfig) -> Mapping[str, tuple[str, ...]]:
    """Values a corpus declares for its facts beforehand; empty where only the texts tell."""
    if config.name == "stories":
        from data.stories import FACT_VALUES

        return FACT_VALUES
    return {}


def load_documents(config: CorpusConfig) -> Iterator[Document]:
    """Documents of a corpus, streamed in the corpus's own order.

    Raises:
        ValueError: for an unreadable source, or one that holds no document; while iterating.
    """
    documents = (
        piece
        for document in CORPORA[config.name](config)
        for piece in _pieces(document)
        if len(piece.text) >= config.min_characters and not piece.text.isspace()
    )
    count = 0
    for document in islice(documents, config.num_documents):
        count += 1
        yield document
    if count == 0:
        raise ValueError(
            f"0 documents of {config.min_characters} or more characters in "
            f"{config.path or config.hf_name or config.name}: the corpus needs at least one text"
        )


def _pieces(document: Document) -> Iterator[Document]:
    """The document itself, or its stretches where it is longer than one may be."""
    if len(document.text) <= MAX_DOCUMENT_CHARACTERS:
        yield document
        return
    for text in cut_passages(document.text, MAX_DOCUMENT_CHARACTERS):
        yield dataclasses.replace(document, text=text, spans=())
