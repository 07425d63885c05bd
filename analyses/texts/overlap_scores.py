"""ROUGE of continuations against their references, one value per text.

ROUGE alone is unsafe: a soup of function words scores well. Read it together with valid n-grams
and fidelity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.numerics.settings import check_choice
from analyses.result import PerText

Words = Literal["rouge", "unicode"]

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class OverlapConfig:
    """ROUGE's choices.

    Attributes:
        stem: Porter stemming of words longer than three letters; off, as in most reports.
        words: `rouge` splits into runs of a-z and 0-9, the package's own rule, which sees no
            word at all in text of another script; `unicode` splits into runs of letters.
    """

    stem: bool = False
    words: Words = "rouge"

    def __post_init__(self) -> None:
        check_choice(self, "words", Words)
        if self.stem and self.words == "unicode":
            raise ValueError("stem must be False with words='unicode': Porter knows English only")


class _UnicodeWords:
    """Word splitter in the form that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return _WORDS.findall(text.lower())


def overlap_scores(
    continuations: Sequence[str], references: Sequence[str], config: OverlapConfig | None = None
) -> PerText:
    """ROUGE-1, ROUGE-2 and ROUGE-L F1 in [0, 1] of every continuation.

    A continuation without a word scores 0. A reference without a word (or, for ROUGE-2, with
    fewer than two) defines nothing: NaN, counted in `detail`.

    Args:
        continuations: Generated texts.
        references: Human continuations of the same prompts.
        config: Stemming and word rule.

    Raises:
        ValueError: If the two lists differ in length.

    Source: Lin 2004, "ROUGE"; package rouge-score.
    """
    from rouge_score import rouge_scorer, tokenizers

    config = config or OverlapConfig()
    if len(continuations) != len(references):
        raise ValueError(
            f"{len(continuations)} continuations do not pair with {len(references)} references"
        )
    splitter = (
        _UnicodeWords() if config.words == "unicode" else tokenizers.DefaultTokenizer(config.stem)
    )
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=splitter)
    scored = [scorer.score(ref, text) for ref, text in zip(references, continuations, strict=True)]
    lengths = np.array([len(splitter.tokenize(text)) for text in references], dtype=np.int64)
    values = {}
    for name, needed in (("rouge1", 1), ("rouge2", 2), ("rougeL", 1)):
        column = np.array([row[name].fmeasure for row in scored], dtype=np.float64)
        values[name] = np.where(lengths >= needed, column, np.nan)
    return PerText(
        values=values,
        detail={
            "num_texts": len(references),
            "num_references_without_words": int((lengths == 0).sum()),
            "num_empty": sum(not splitter.tokenize(text) for text in continuations),
        },
    )
