"""The word that stands for all others in an example: chosen by a rule, never by hand.

Of the words that occur often enough, it is the one whose share of neighbours of the same kind lies
nearest the share over all words, in every arm at once. An example that shows more, or less, than
the numbers do cannot be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.errors import InputError

FEWEST_PLACES = 5
RULE = (
    f"The word is chosen by a rule: of all words that occur {FEWEST_PLACES} times or more, it is "
    "the one whose own shares lie nearest the shares over all words, in every arm at once."
)


def typical_place(shares: Sequence[np.ndarray], ids: np.ndarray) -> int:
    """Place, among N, of the most typical word, and of its most typical occurrence.

    Ties go to the place that comes first. Where no word occurs `FEWEST_PLACES` times, every word
    may be chosen.

    Args:
        shares: per arm (N,) share of a place's neighbours that are of its kind, in [0, 1].
        ids: (N,) word of each place.

    Raises:
        InputError: there is no place, or the arms have different numbers of places.
    """
    if not len(ids) or {len(own) for own in shares} != {len(ids)}:
        sizes = ", ".join(str(len(own)) for own in shares)
        raise InputError(f"{len(ids)} places, and shares of {sizes}: these do not pair")
    values = np.stack([np.asarray(own, np.float64) for own in shares])
    overall = values.mean(axis=1, keepdims=True)
    _, word, counts = np.unique(ids, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(word, weights=own) / counts for own in values])
    away = np.linalg.norm(means - overall, axis=0)
    if (counts >= FEWEST_PLACES).any():
        away[counts < FEWEST_PLACES] = np.inf
    near = np.linalg.norm(values - overall, axis=0)
    places = np.flatnonzero(away[word] == away.min())
    return int(places[np.argmin(near[places])])


def typical_miss(near: np.ndarray) -> int:
    """Place, among N misses of an arm, of the one that stands for all; the first of equals.

    It is the one whose neighbours are of the kind that was meant about as often as those of all.

    Args:
        near: (N,) share of the nearest real latents of each miss that are of that kind, in [0, 1].
    """
    return int(np.argmin(np.abs(near - near.mean())))
