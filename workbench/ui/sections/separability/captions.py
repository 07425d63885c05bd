"""What a figure of linear probes shows, in a sentence made from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from workbench.report.plain_words import label_words
from workbench.ui.sections.shared.stored_results import Results

Ends = tuple[float, float]


def beyond_sentence(results: Mapping[str, Results], mark: Mapping[str, float | None]) -> str:
    """Which labels an arm reads better than the word alone does, with its whole interval.

    Args:
        results: arm -> label -> stored result.
        mark: label -> accuracy of the word alone; empty text where it is known for none.
    """
    if all(value is None for value in mark.values()):
        return ""
    found = {
        label: [
            arm
            for arm, own in results.items()
            if (ends := _ends(own.get(label))) is not None and ends[0] > value
        ]
        for label, value in mark.items()
        if value is not None
    }
    named = [f"{label_words(label)} ({', '.join(arms)})" for label, arms in found.items() if arms]
    if not named:
        return "No row lies beyond the word alone."
    return f"Beyond the word alone: {_listed(named)}."


def parted_sentence(results: Mapping[str, Results]) -> str:
    """For which labels the arms' intervals lie apart; empty for one arm."""
    if len(results) < 2:
        return ""
    labels = dict.fromkeys(label for own in results.values() for label in own)
    parted = [
        label_words(label)
        for label in labels
        if _parted([own.get(label) for own in results.values()])
    ]
    if not parted:
        return "The arms' intervals overlap in every row."
    others = "; others overlap" if len(parted) < len(labels) else ""
    return f"The arms' intervals part for {_listed(parted)}{others}."


def _parted(results: Sequence[Mapping[str, object] | None]) -> bool:
    known = [ends for result in results if (ends := _ends(result)) is not None]
    return any(a[1] < b[0] or b[1] < a[0] for a, b in combinations(known, 2))


def _ends(result: Mapping[str, object] | None) -> Ends | None:
    low, high = (None, None) if result is None else (result.get("low"), result.get("high"))
    return (low, high) if isinstance(low, float) and isinstance(high, float) else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
