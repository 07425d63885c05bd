"""What a score of generated text is worth: the known damage that it puts in the right order.

Human text is damaged by a known amount and scored like any continuation. A score orders two rungs
rightly when the less damaged one is better and the two intervals do not touch. It is trusted for a
kind of damage when it orders every pair of that kind, and the headline is the score that orders
the most pairs. No arm plays a part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

RUNGS = (
    "human",
    "swap_2",
    "swap_10",
    "swap_30",
    "chain_4gram",
    "chain_bigram",
    "shuffled_words",
    "wrong_source",
    "prompt_copy",
    "autoregressive",
)
# Kind of damage -> rungs from the least to the most damaged.
ORDERS: Mapping[str, tuple[str, ...]] = {
    "word order": ("human", "swap_2", "swap_10", "swap_30", "shuffled_words"),
    "sense beyond a few words": ("human", "chain_4gram", "chain_bigram", "shuffled_words"),
    "belonging to the prompt": ("human", "wrong_source"),
    "saying something new": ("human", "prompt_copy"),
    # The words of a small language model: they are likely, and no more than that.
    "being more than likely": ("human", "autoregressive"),
}
# These compare with the very text that the rungs are made from, so the ladder flatters them.
MADE_FROM_THE_REFERENCE = ("rouge", "embedding_f1", "fidelity", "contradiction")

Pair = tuple[str, str]
Ends = tuple[float, float]
Scores = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one score makes of the ladder.

    Attributes:
        metric: its name.
        right: pairs (less damaged, more damaged) in the right order, intervals apart.
        wrong: pairs in the wrong order, intervals apart.
        unclear: pairs whose intervals touch.
        trusted: kinds of damage of which every pair is right.
        margin: the least distance of two rungs in the right order, in half-widths of both their
            intervals; > 1, and 0 where no pair is right.
        candidate: whether it may be the headline; a score that compares with the text that the
            rungs are made from may not.
    """

    metric: str
    right: tuple[Pair, ...]
    wrong: tuple[Pair, ...]
    unclear: tuple[Pair, ...]
    trusted: tuple[str, ...]
    margin: float
    candidate: bool


def expected_pairs() -> tuple[Pair, ...]:
    """Every pair (less damaged, more damaged) that a good score tells apart, each once."""
    pairs = (pair for order in ORDERS.values() for pair in combinations(order, 2))
    return tuple(dict.fromkeys(pairs))


def read_ladder(
    rungs: Mapping[str, Scores], higher_is_better: Mapping[str, bool]
) -> tuple[Reading, ...]:
    """Read every score that the human rung has, best reader first.

    A score without a good end (length, entropy) is read by its distance from the human mean.

    Args:
        rungs: Rung -> metric -> {mean, low, high}; None where not defined.
        higher_is_better: Metric -> direction; metrics without a good end are absent.
    """
    readings = [
        _read(metric, rungs, higher_is_better.get(metric))
        for metric, entry in rungs.get("human", {}).items()
        if entry.get("mean") is not None
    ]
    return tuple(sorted(readings, key=_rank))


def headline(readings: Sequence[Reading]) -> str | None:
    """The candidate that orders the most pairs rightly, then the fewest wrongly, then by margin."""
    return next((r.metric for r in sorted(readings, key=_rank) if r.candidate and r.right), None)


def _rank(reading: Reading) -> tuple[bool, int, int, float, str]:
    right, wrong = len(reading.right), len(reading.wrong)
    return (not reading.candidate, -right, wrong, -reading.margin, reading.metric)


def _read(metric: str, rungs: Mapping[str, Scores], better: bool | None) -> Reading:
    human = rungs["human"][metric]["mean"]
    damage = {
        rung: _damage(scores[metric], better, human)
        for rung, scores in rungs.items()
        if metric in scores
    }
    found: dict[str, list[Pair]] = {"right": [], "wrong": [], "unclear": []}
    for pair in expected_pairs():
        found[_verdict(damage.get(pair[0]), damage.get(pair[1]))].append(pair)
    trusted = tuple(
        kind
        for kind, order in ORDERS.items()
        if all(pair in found["right"] for pair in combinations(order, 2))
    )
    return Reading(
        metric=metric,
        right=tuple(found["right"]),
        wrong=tuple(found["wrong"]),
        unclear=tuple(found["unclear"]),
        trusted=trusted,
        margin=min((_gap(damage[a], damage[b]) for a, b in found["right"]), default=0.0),
        candidate=better is not None and not metric.startswith(MADE_FROM_THE_REFERENCE),
    )


def _gap(less: Ends | None, more: Ends | None) -> float:
    """Distance of two intervals' middles over the sum of their half-widths."""
    assert less is not None
    assert more is not None
    widths = (less[1] - less[0]) + (more[1] - more[0])
    return (sum(more) - sum(less)) / widths if widths else float("inf")


def _damage(entry: Mapping[str, Any], better: bool | None, human: float) -> Ends | None:
    """The interval of a score, turned so that more is worse; None without an interval."""
    low, high = entry.get("low"), entry.get("high")
    if low is None or high is None:
        return None
    if better is not None:
        return (-high, -low) if better else (low, high)
    ends = sorted((abs(low - human), abs(high - human)))
    return (0.0 if low <= human <= high else ends[0], ends[1])


def _verdict(less: Ends | None, more: Ends | None) -> str:
    if less is None or more is None:
        return "unclear"
    if less[1] < more[0]:
        return "right"
    return "wrong" if more[1] < less[0] else "unclear"
