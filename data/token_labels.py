"""Token-level labels: the class of each token by the labelled span that it begins in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from data.documents import Span

MISSING = -1


@dataclass(slots=True)
class LabelIndex:
    """Label name -> class -> id, in order of appearance; one label may have `max_classes`.

    Raises:
        ValueError: from `id_of`, when a label has more classes than a class label would.
    """

    max_classes: int
    classes: dict[str, dict[str, int]] = field(default_factory=dict)

    def id_of(self, name: str, value: str) -> int:
        """Id of a class, a new one if it was not seen before."""
        try:
            return self.classes[name][value]
        except KeyError:
            return self._add(name, value)

    def _add(self, name: str, value: str) -> int:
        known = self.classes.setdefault(name, {})
        if len(known) == self.max_classes:
            raise ValueError(
                f"label {name!r} has more than {self.max_classes} distinct values: "
                "a label must be a class, leave this column out"
            )
        known[value] = len(known)
        return known[value]

    def names(self) -> dict[str, tuple[str, ...]]:
        """Label name -> its classes, the position of each being its id."""
        return {name: tuple(known) for name, known in self.classes.items()}


def token_labels(
    spans: Sequence[Span], start: int, offsets: np.ndarray, index: LabelIndex
) -> dict[str, np.ndarray]:
    """Labels of a window's tokens.

    Args:
        spans: labelled stretches of the document, in order and apart.
        start: first character of the window in the document.
        offsets: (n, 2) characters of each token, counted from the window's start.

    Returns:
        Label name -> (n,) int16 class ids, -1 where a token begins in no span with that label or
        stands for white space only.
    """
    if not spans or len(offsets) == 0:
        return {}
    begins = np.array([span.start for span in spans]) - start
    ends = np.array([span.end for span in spans]) - start
    place = np.searchsorted(begins, offsets[:, 0], side="right") - 1
    inside = (place >= 0) & (offsets[:, 0] < ends[place]) & (offsets[:, 0] < offsets[:, 1])
    labels = {}
    for name in dict.fromkeys(name for span in spans for name in span.labels):
        ids = [
            index.id_of(name, span.labels[name]) if name in span.labels else MISSING
            for span in spans
        ]
        labels[name] = np.where(inside, np.array(ids)[place], MISSING).astype(np.int16)
    return labels
