"""Nearest-neighbour coherence: do neighbours in the latent space share a label?

At token level most neighbours are copies of the same token, and they share every label that the
token id determines. Level `token.other_id` looks only at neighbours with a *different* id. Rows
without a label (-1) are left out on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.neighbors import (
    Metric,
    NeighborConfig,
    Neighbors,
    nearest_neighbors,
    nearest_of_other_group,
)
from analyses.numerics.settings import check_at_least, check_choice
from analyses.result import Result, undefined
from analyses.statistics.intervals import BootstrapConfig, grouped_bootstrap
from analyses.statistics.significance import Null, null_from_samples

Level = Literal["token", "token.other_id", "sentence", "text"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnnCoherenceConfig:
    """Settings of the coherence probe.

    Attributes:
        level: What a row is; part of the result's name.
        k: Neighbours per row, clipped to those that exist.
        metric: Distance between centred rows.
        num_permutations: Draws of the null.
        bootstrap: Resampling of rows, or of whole texts where groups are given.
    """

    level: Level = "token"
    k: int = 10
    metric: Metric = "cosine"
    num_permutations: int = 100
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_choice(self, "level", Level)
        check_at_least(self, 1, "num_permutations")
        NeighborConfig(k=self.k, metric=self.metric)


def knn_coherence(
    features: np.ndarray,
    labels: np.ndarray,
    config: KnnCoherenceConfig | None = None,
    *,
    exclude: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Result:
    """Mean share of a row's k nearest rows that carry its label, in [0, 1]; exact search.

    `chance` is the exact expectation over random neighbours: the mean over rows of the share of
    eligible rows with the same label (for n_c rows of class c and no exclusion, sum_c
    (n_c / n) (n_c - 1) / (n - 1)). The null in `detail` shuffles labels over the fixed
    neighbour graph; with an exclusion it draws random eligible neighbours instead, since a
    shuffle would tear labels from their token ids.

    Args:
        features: (N, F), N >= 3.
        labels: (N,) int, -1 = missing.
        config: Level, k, metric, null and resampling.
        exclude: (N,) int >= 0: neighbours with the row's own value do not count. The token id
            for level `token.other_id`, which needs it; the text's number to look beyond it.
        groups: (N,) int text of each row, resampled whole.

    Returns:
        `per_item`: `row` and its `share`. `detail.per_class`: share, chance and n by label.

    Raises:
        ValueError: On fewer than 3 rows, NaN features (rows named) or a missing `exclude`.
    """
    config = config or KnnCoherenceConfig()
    name = f"knn_coherence.{config.level}"
    features = check_features(features)
    classes = check_labels(labels, len(features))
    if config.level == "token.other_id" and exclude is None:
        raise ValueError("level token.other_id needs exclude, the token id of each row")
    rows = np.flatnonzero(classes >= 0)
    classes = classes[rows]
    if len(rows) < 3:
        return undefined(name, f"{len(rows)} row(s) carry a label; 3 are needed", len(rows))
    if len(np.unique(classes)) < 2:
        return undefined(name, "one class: every neighbour shares it", len(rows))
    barred = _selected(exclude, rows, len(features), "exclude")
    if barred is not None and len(np.unique(barred)) < 2:
        return undefined(name, "one value of exclude: no neighbour is eligible", len(rows))
    search = NeighborConfig(k=config.k, metric=config.metric)
    found = (
        nearest_neighbors(features[rows], search)
        if barred is None
        else nearest_of_other_group(features[rows], barred, search)
    )
    share = (classes[found.indices] == classes[:, None]).mean(axis=1)
    texts = _selected(groups, rows, len(features), "groups")
    interval = grouped_bootstrap(
        share, np.arange(len(rows)) if texts is None else texts, config.bootstrap
    )
    expected = expected_share(classes, barred)
    null = _null(found, classes, barred, share.mean(), config)
    return Result.of(
        name,
        interval,
        chance=float(expected.mean()),
        higher_is_better=True,
        detail={
            "k": found.k,
            "requested_k": found.requested_k,
            "metric": config.metric,
            "null": null,
            "null_kind": "shuffled labels" if barred is None else "random eligible neighbours",
            "num_without_label": len(features) - len(rows),
            "per_class": {
                str(c): {
                    "share": float(share[classes == c].mean()),
                    "chance": float(expected[classes == c].mean()),
                    "n": int((classes == c).sum()),
                }
                for c in np.unique(classes)
            },
        },
        per_item={"row": rows, "share": share},
    )


def _selected(values: np.ndarray | None, rows: np.ndarray, n: int, name: str) -> np.ndarray | None:
    return None if values is None else check_labels(values, n, name=name)[rows]


def expected_share(classes: np.ndarray, barred: np.ndarray | None) -> np.ndarray:
    """Share (N,) of each row's eligible others that carry its label."""
    own = np.arange(len(classes)) if barred is None else barred
    pairs = np.stack([own, classes], axis=1)
    _, pair, same_both = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    _, group, same_group = np.unique(own, return_inverse=True, return_counts=True)
    _, label, same_label = np.unique(classes, return_inverse=True, return_counts=True)
    eligible = len(classes) - same_group[group]
    return (same_label[label] - same_both[pair.ravel()]) / eligible


def _null(
    found: Neighbors,
    classes: np.ndarray,
    barred: np.ndarray | None,
    observed: float,
    config: KnnCoherenceConfig,
) -> Null:
    rng = np.random.default_rng(config.bootstrap.seed)
    values = np.empty(config.num_permutations)
    for draw in range(config.num_permutations):
        if barred is None:
            labels, indices = rng.permutation(classes), found.indices
        else:
            labels, indices = classes, _random_eligible(barred, found.k, rng)
        values[draw] = (labels[indices] == labels[:, None]).mean()
    return null_from_samples(observed, values, config.bootstrap.level)


def _random_eligible(barred: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k random rows (N, k) of another group each: drawn in sorted order, the own run skipped."""
    order = np.argsort(barred, kind="stable")
    _, first, inverse, size = np.unique(
        barred[order], return_index=True, return_inverse=True, return_counts=True
    )
    start, own = first[inverse][:, None], size[inverse][:, None]
    place = rng.integers(0, len(barred) - own, size=(len(barred), k))
    place += np.where(place >= start, own, 0)
    drawn = np.empty_like(place)
    drawn[order] = order[place]
    return drawn
