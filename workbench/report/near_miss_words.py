"""Why equal reconstruction and unequal writing go together, in sentences from a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.report.plain_words import label_words

NEIGHBOURS = "knn_coherence.token.other_id."


def near_miss_sentence(comparison: Mapping[str, Any]) -> str:
    """What a generator's near miss lands on in each arm; empty where neighbours are not probed.

    It is said of the first kind that is probed in every arm, whatever the numbers are.
    """
    arms = comparison["arms"]
    name = next(
        (
            name
            for name in next(iter(arms.values()))
            if name.startswith(NEIGHBOURS)
            and all(own.get(name, {}).get("mean") is not None for own in arms.values())
        ),
        None,
    )
    if name is None:
        return ""
    kind = label_words(name.removeprefix(NEIGHBOURS))
    shares = ", ".join(f"{_share(own[name])} in {arm}" for arm, own in arms.items())
    chance = next(iter(arms.values()))[name].get("chance")
    by_chance = "" if chance is None else f" (chance {100 * chance:.0f} %)"
    return (
        "Reconstruction tests the decoder on its own encoder's points. A generator's points are a "
        "little off and become a neighbouring word. Share of a word's nearest other words that are "
        f"the same {kind}: {shares}{by_chance}."
    )


def _share(found: Mapping[str, Any]) -> str:
    """A share in per cent with its interval, if it has one, and the number of words."""
    low, high = found["low"], found["high"]
    interval = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * found['mean']:.0f} %{interval} (n {found['n']:,})"
