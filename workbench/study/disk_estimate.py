"""Room that a corpus will take on disk, estimated before it is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.corpora import CorpusConfig

SAMPLE_DOCUMENTS = 200
# Ids, offsets, labels and compressed texts, a token being some four characters: between .4 and 2.5
# times what plain files, docstrings and stories take (tested).
STORED_BYTES = 3.0


def stored_bytes(num_characters: float) -> int:
    """Bytes that a corpus of so many characters takes, roughly."""
    return int(STORED_BYTES * num_characters)


def expected_characters(config: CorpusConfig) -> float | None:
    """Characters of a source, from its size or a sample of its documents; None if neither tells.

    A file has as many as bytes at most (compressed Parquet has more, so there it is a lower bound);
    where the number of documents is known, their mean length is taken from the first 200.

    Raises:
        ValueError: the source cannot be read.
    """
    known = []
    if config.name == "file" and Path(config.path).expanduser().is_file():
        known.append(float(Path(config.path).expanduser().stat().st_size))
    count = config.num_documents or _default_count(config)
    if count is not None:
        from data.corpora import load_documents

        lengths = [len(d.text) for d in islice(load_documents(config), SAMPLE_DOCUMENTS)]
        known.append(count * sum(lengths) / len(lengths))
    return min(known, default=None)


def _default_count(config: CorpusConfig) -> int | None:
    from data.corpora import NUM_STORIES

    return NUM_STORIES if config.name == "stories" else None


class CountedTexts:
    """Texts passed on, and how many characters went by."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts, self.num_characters = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.num_characters += len(text)
            yield text
