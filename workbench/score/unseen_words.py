"""Which words of a text leave the training texts: no text there goes on so.

The valid 4-grams of a text are the share of its runs of four tokens that the training split holds.
Here the same runs say where the others begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analyses.texts.ngram_scores import NgramIndex, build_ngram_index

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from data.tokenization import CompactTokenizer

ORDER = 4
RULE = f"Underlined: a word that no training text has after the {ORDER - 1} before it."


def training_runs(corpus: Corpus) -> NgramIndex:
    """All runs of up to four tokens of the training split."""
    rows = corpus.split("train").token_rows()
    return build_ngram_index(rows, vocab_size=corpus.vocab_size, max_order=ORDER)


def unseen_words(
    texts: Sequence[str], tokenizer: CompactTokenizer, seen: NgramIndex
) -> list[list[tuple[int, int]]]:
    """For each text, the words that end an unseen run of four tokens.

    Runs that hold such a word are unseen for its sake, and mark no other.

    Args:
        texts: N texts.
        tokenizer: of the corpus.
        seen: runs of the training texts.

    Returns:
        N lists of half-open spans of characters, in order.
    """
    spans = []
    for text, encoded in zip(texts, tokenizer.encode_batch(texts), strict=True):
        marked: list[int] = []
        for place in np.flatnonzero(~seen.valid(encoded.token_ids)[ORDER]) + ORDER - 1:
            if not marked or place - marked[-1] >= ORDER:
                marked.append(int(place))
        words = [_word_around(text, *encoded.offsets[place].tolist()) for place in marked]
        spans.append(list(dict.fromkeys(words)))
    return spans


def _word_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The span stretched to whole words, for a token may be part of one."""
    while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
        end += 1
    return start, end
