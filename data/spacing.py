"""White space between word pieces, learnt from the corpus.

WordPiece forgets white space: its decoder writes "family - friendly" and "£20 - 25". Which pieces
lean on a neighbour is a habit of the corpus (WikiText does write " - "), so it is counted there:
a piece leans left (or right) if it touches the piece before (or after) more often than not.
Straight double quotes lean right and left in turn, as opening and closing ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_CONTINUATION = "##"
_QUOTE = '"'
_FIRST_IDEOGRAPHIC = "\u2e80"


def count_spacing(
    text: str,
    pieces: Sequence[str],
    offsets: Sequence[tuple[int, int]],
    counts: dict[str, np.ndarray],
) -> None:
    """Add one text to `counts`: piece -> (touched before, before, touched after, after)."""
    for left, right in pairwise(range(len(pieces))):
        if pieces[right].startswith(_CONTINUATION):
            continue
        touches = offsets[left][1] == offsets[right][0]
        for piece, place in ((pieces[right], 0), (pieces[left], 2)):
            if not _is_word(piece):
                entry = counts.setdefault(piece, np.zeros(4, dtype=np.int64))
                entry[place] += touches
                entry[place + 1] += 1


def _is_word(piece: str) -> bool:
    """Words are parted by default; signs, and scripts without white space, by what is counted."""
    if piece.startswith(_CONTINUATION):
        return True
    return piece[0].isalnum() and piece[-1].isalnum() and piece[0] < _FIRST_IDEOGRAPHIC


@dataclass(frozen=True, kw_only=True, slots=True)
class Spacing:
    """Pieces that are written without a space before (`leans_left`) or after (`leans_right`)."""

    leans_left: frozenset[str]
    leans_right: frozenset[str]

    @classmethod
    def from_counts(cls, counts: Mapping[str, np.ndarray]) -> Spacing:
        """Majority of what `count_spacing` saw."""
        left = (p for p, (touch, total, _, _) in counts.items() if 2 * touch > total)
        right = (p for p, (_, _, touch, total) in counts.items() if 2 * touch > total)
        return cls(leans_left=frozenset(left), leans_right=frozenset(right))

    def join(self, pieces: Sequence[str]) -> str:
        """The pieces as running text."""
        parts: list[str] = []
        glued, inside_quotes = True, False
        for piece in pieces:
            if piece.startswith(_CONTINUATION) and len(piece) > 2:
                parts.append(piece[2:])
                glued = False
                continue
            is_quote = piece == _QUOTE
            leans_left = inside_quotes if is_quote else piece in self.leans_left
            parts.append(piece if glued or leans_left else f" {piece}")
            inside_quotes ^= is_quote
            glued = inside_quotes if is_quote else piece in self.leans_right
        return "".join(parts)

    def to_json(self) -> dict[str, list[str]]:
        """Plain lists, sorted."""
        return {"left": sorted(self.leans_left), "right": sorted(self.leans_right)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spacing:
        """Inverse of `to_json`."""
        return cls(leans_left=frozenset(value["left"]), leans_right=frozenset(value["right"]))
