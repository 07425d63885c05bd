"""White space between word pieces, learnt from the corpus.

WordPiece forgets white space: its decoder writes "family - friendly" and "£20 - 25". Where signs
touch their neighbours is a habit of the corpus (WikiText does write " – "), so it is counted
there: two neighbours touch if they did so more often than not, all words counting as one. Straight
double quotes lean right and left in turn, as opening and closing ones do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_CONTINUATION = "##"
_QUOTE = '"'
_WORD = ""
_FIRST_IDEOGRAPHIC = "\u2e80"

Pair = tuple[str, str]


def count_spacing(
    pieces: Sequence[str], offsets: Sequence[tuple[int, int]], counts: dict[Pair, int]
) -> None:
    """Add one text to `counts`: pair of neighbours -> how often they touch less how often not.

    Args:
        pieces: (n) word pieces.
        offsets: their half-open characters.
    """
    kinds = [_kind(piece) for piece in pieces]
    for left, right in pairwise(range(len(pieces))):
        pair = kinds[left], kinds[right]
        if pair != (_WORD, _WORD):
            touches = offsets[left][1] == offsets[right][0]
            counts[pair] = counts.get(pair, 0) + (1 if touches else -1)


def _kind(piece: str) -> str:
    """One kind for all words; signs, and scripts without white space, each by themselves."""
    if piece.startswith(_CONTINUATION) and len(piece) > len(_CONTINUATION):
        return _WORD
    is_word = piece[:1].isalnum() and piece[-1:].isalnum() and piece[:1] < _FIRST_IDEOGRAPHIC
    return _WORD if is_word else piece


@dataclass(frozen=True, slots=True)
class Spacing:
    """Whether neighbours touch, by pair; "" stands for any word, and two words never do."""

    touching: Mapping[Pair, bool]

    @classmethod
    def from_counts(cls, counts: Mapping[Pair, int]) -> Spacing:
        """Majority of what `count_spacing` saw."""
        return cls({pair: balance > 0 for pair, balance in counts.items()})

    def join(self, pieces: Iterable[str]) -> str:
        """The pieces as running text."""
        parts: list[str] = []
        left: str | None = None
        inside_quotes = False
        for piece in pieces:
            kind = _kind(piece)
            if piece.startswith(_CONTINUATION) and kind == _WORD:
                parts.append(piece.removeprefix(_CONTINUATION))
            else:
                touches = left is None or self._touch(left, kind, inside_quotes)
                parts.append(piece if touches else f" {piece}")
            inside_quotes ^= piece == _QUOTE
            left = kind
        return "".join(parts)

    def _touch(self, left: str, right: str, inside_quotes: bool) -> bool:
        """Whether two neighbours touch; an unseen pair of signs does if either leans that way."""
        if _QUOTE in (left, right):
            return inside_quotes
        seen = self.touching.get((left, right))
        if seen is not None or left == right == _WORD:
            return bool(seen)
        return self.touching.get((left, _WORD), False) or self.touching.get((_WORD, right), False)

    def to_json(self) -> list[list[str | bool]]:
        """Plain rows (left, right, touching), sorted."""
        return [[*pair, touching] for pair, touching in sorted(self.touching.items())]

    @classmethod
    def from_json(cls, rows: Iterable[Sequence[Any]]) -> Spacing:
        """Inverse of `to_json`."""
        return cls({(left, right): touching for left, right, touching in rows})
