"""Splits by content: the text alone says on which side it falls.

So no copy of a training text is ever tested on, whatever the order, the seed or the length of the
corpus. Texts that differ in letter case or white space only count as copies: a tokeniser may
map them to the same tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

TRAIN, VALID, TEST = "train", "valid", "test"
SPLITS = (TRAIN, VALID, TEST)


def content_key(text: str) -> bytes:
    """SHA-256 of the text, letter case and runs of white space aside; 32 bytes."""
    normal = " ".join(text.casefold().split())
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()


def split_of(key: bytes, valid_fraction: float, test_fraction: float) -> str:
    """Side of a key: its first 8 bytes, read as a number in [0, 1), against the fractions."""
    position = int.from_bytes(key[:8], "big") / 2**64
    if position < test_fraction:
        return TEST
    return VALID if position < test_fraction + valid_fraction else TRAIN


@dataclass(kw_only=True, slots=True)
class Splitter:
    """Deals documents to the splits; memory grows with the held-out documents only.

    The first document and its copies train whatever their hash, so that a corpus of one document
    has something to train on. A held-out text counts once, however often the corpus repeats it.
    """

    valid_fraction: float
    test_fraction: float
    num_copies: int = 0
    _first: bytes = b""
    _held_out: set[bytes] = field(default_factory=set)

    def deal(self, text: str) -> str | None:
        """Split of the next document, or None for the copy of one that is held out already."""
        key = content_key(text)
        self._first = self._first or key
        split = split_of(key, self.valid_fraction, self.test_fraction)
        if split == TRAIN or key == self._first:
            return TRAIN
        if key in self._held_out:
            self.num_copies += 1
            return None
        self._held_out.add(key)
        return split
