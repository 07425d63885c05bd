"""How much disk a corpus will take, estimated before it is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.corpora import CorpusConfig

SAMPLE_DOCUMENTS = 200
# Ids, offsets, labels and compressed texts, at about four characters per token. Tested on plain
# files, docstrings and stories: between 0.4 and 2.5 times what they take.
STORED_BYTES = 3.0


def stored_bytes(num_characters: float) -> int:
    """Rough number of bytes that a corpus of `num_characters` takes."""
    return int(STORED_BYTES * num_characters)


def expected_characters(config: CorpusConfig) -> float | None:
    """Characters in a source, from its size or a sample of documents; None if neither is known.

    A file has at most as many characters as bytes. Compressed Parquet has more, so there the size
    is a lower bound. Where the number of documents is known, the first 200 give the mean length.

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
    """Passes texts on and counts their characters."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts, self.num_characters = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.num_characters += len(text)
            yield text
