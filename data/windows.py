"""Cutting long texts: into passages by characters, and into windows by tokens.

A cut falls at the end of a sentence if there is one in the second half of the stretch, else at
white space, else where the room ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*\s+|\n+")
_SPACE = re.compile(r"\s+")


def cut_passages(text: str, max_characters: int) -> Iterator[str]:
    """Stretches of at most `max_characters`, in order; white space at the cuts is dropped."""
    start = 0
    while len(text) - start > max_characters:
        end = _last_border(text, start + max_characters // 2, start + max_characters)
        if piece := text[start:end].strip():
            yield piece
        start = end
    if piece := text[start:].strip():
        yield piece


def _last_border(text: str, low: int, high: int) -> int:
    """Last place in (low, high] where the text may be cut; `high` if it has no border."""
    for border in (_SENTENCE_END, _SPACE):
        ends = [match.end() for match in border.finditer(text, low, high)]
        if ends:
            return ends[-1]
    return high


def cut_windows(text: str, offsets: np.ndarray, max_tokens: int) -> list[tuple[int, int]]:
    """Stretches of the text that hold at most `max_tokens` of its tokens each.

    Tokenised again by itself, a stretch may come out longer by a token or two; the caller checks.

    Args:
        offsets: (n, 2) characters of each token, `n > max_tokens`.

    Returns:
        Half-open characters of each stretch, white space at its ends left out.
    """
    starts, ends = offsets[:, 0], offsets[:, 1]
    sentence, space = _borders(text, starts)
    cuts, begin = [0], 0
    while len(starts) - begin > max_tokens:
        begin = _cut(begin, max_tokens, sentence, space, starts, ends)
        cuts.append(begin)
    bounds = [int(starts[cut]) for cut in cuts] + [len(text)]
    stretches = (_strip(text, a, b) for a, b in pairwise(bounds))
    return [(a, b) for a, b in stretches if a < b]


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, max(start, start + len(piece.strip()))


def _borders(text: str, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every token, whether a sentence ends or white space stands right before it; (n,) bool."""
    after_sentence = np.zeros(len(text) + 1, dtype=bool)
    after_sentence[[match.end() for match in _SENTENCE_END.finditer(text)]] = True
    after_space = np.zeros(len(text) + 1, dtype=bool)
    after_space[[match.end() for match in _SPACE.finditer(text)]] = True
    return after_sentence[starts], after_space[starts]


def _cut(
    begin: int,
    max_tokens: int,
    sentence: np.ndarray,
    space: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
) -> int:
    """First token of the next window, in (begin, begin + max_tokens]."""
    low, high = begin + max(1, max_tokens // 2), begin + max_tokens
    left = len(starts) - begin
    aim = begin + (left + 1) // 2 if left <= 2 * max_tokens else high  # two alike, no short tail
    low = max(low, len(starts) - max_tokens) if left <= 2 * max_tokens else low
    whole = starts[begin + 1 : high + 1] >= ends[begin:high]  # never inside a character
    for border, first in ((sentence, low), (space, begin + 1), (whole, begin + 1)):
        allowed = whole if border is whole else border[begin + 1 : high + 1] & whole
        places = np.flatnonzero(allowed) + begin + 1
        places = places[places >= first]
        if len(places):
            return int(places[np.abs(places - aim).argmin()])
    return high
