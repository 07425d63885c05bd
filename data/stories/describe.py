"""Describe a set of stories: how many, how varied, and how many facts return in the second half."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data.documents import Document
from data.stories.lexicon import COLOURS, COMPANIONS, HEROES, TIMES

_PIECE = re.compile(r"\w+|[^\w\s]")
# Fields whose values can be exchanged in any story without touching another word than the
# article before a colour. A hero is exchanged for one of the same pronoun.
_EXCHANGEABLE = {
    "hero": min(len(names) for names in HEROES.values()),
    "companion": len(COMPANIONS),
    "colour": len(COLOURS),
    "time": len(TIMES),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoriesDescription:
    """How large and varied a set of stories is.

    Args:
        num_stories: number of stories.
        num_distinct: number of distinct texts.
        distinct_sentence_share: distinct sentences over sentences, in [0, 1].
        vocabulary_size: distinct lower-cased words and punctuation marks.
        mean_pieces: words and punctuation marks per story.
        unigram_entropy: entropy of the words and marks, in bits.
        reachable_stories: lower bound of the number of stories that the grammar can tell: every
            distinct skeleton seen (a story without its names, colour and time) times the ways
            to fill it.
        mean_facts_carried: mean number of fact fields, pronoun left out, stated on both sides of
            the middle piece.
    """

    num_stories: int
    num_distinct: int
    distinct_sentence_share: float
    vocabulary_size: int
    mean_pieces: float
    unigram_entropy: float
    reachable_stories: int
    mean_facts_carried: float


def describe_stories(documents: Iterable[Document]) -> StoriesDescription:
    """Describe stories in one pass over them.

    Raises:
        ValueError: when there is no document.
    """
    counts: Counter[str] = Counter()
    texts: set[str] = set()
    sentences: Counter[str] = Counter()
    skeletons: dict[str, int] = {}
    num_stories = carried = 0
    for document in documents:
        pieces = split_pieces(document.text)
        num_stories += 1
        counts.update(pieces)
        texts.add(document.text)
        sentences.update(re.findall(r"[^.]+\.", document.text))
        skeleton, ways = _skeleton(pieces, document.facts)
        skeletons[skeleton] = ways
        carried += len(carried_facts(pieces, document.facts) - {"pronoun"})
    if not num_stories:
        raise ValueError("cannot describe 0 documents")
    return StoriesDescription(
        num_stories=num_stories,
        num_distinct=len(texts),
        distinct_sentence_share=len(sentences) / max(1, sentences.total()),
        vocabulary_size=len(counts),
        mean_pieces=counts.total() / num_stories,
        unigram_entropy=_entropy(counts),
        reachable_stories=sum(skeletons.values()),
        mean_facts_carried=carried / num_stories,
    )


def split_pieces(text: str) -> list[str]:
    """Split into lower-cased words and single punctuation marks."""
    return _PIECE.findall(text.lower())


def carried_facts(pieces: list[str], facts: Mapping[str, str], share: float = 0.5) -> set[str]:
    """Return the fact fields stated on both sides of a cut at `share` of the pieces."""
    cut = int(share * len(pieces))
    before, after = set(pieces[:cut]), set(pieces[cut:])
    return {name for name, value in facts.items() if value in before and value in after}


def _skeleton(pieces: list[str], facts: Mapping[str, str]) -> tuple[str, int]:
    names = {facts[name]: f"<{name}>" for name in _EXCHANGEABLE if name in facts}
    ways = math.prod(_EXCHANGEABLE[name] for name in _EXCHANGEABLE if name in facts)
    merged = ("a" if piece == "an" else names.get(piece, piece) for piece in pieces)
    return " ".join(merged), ways


def _entropy(counts: Counter[str]) -> float:
    total = counts.total()
    return -sum(count / total * math.log2(count / total) for count in counts.values())
