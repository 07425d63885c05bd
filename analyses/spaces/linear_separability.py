"""Linear separability: how much of a label a linear probe reads from the latents.

An accuracy alone says little, so four numbers come with it: the majority class, the same probe on
shuffled labels, the same probe on token embeddings alone (what the token says without its
context), and the accuracy of every class. All are cross-validated. Rows of one text share a fold;
otherwise the probe would recognise texts instead of labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.ridge import CrossFittedRidge, RidgeConfig
from analyses.numerics.settings import check_at_least, check_choice, check_positive
from analyses.result import Result, undefined
from analyses.statistics.intervals import BootstrapConfig, grouped_bootstrap, paired_bootstrap
from analyses.statistics.significance import null_from_samples

Method = Literal["logistic", "ridge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearSeparabilityConfig:
    """Settings of the linear probe.

    Attributes:
        label_set: Name of the label set, part of the result's name.
        method: `logistic` for a headline; `ridge` (one-hot least squares, one
            eigendecomposition a fold for all penalties and shuffles) for sweeps.
        num_folds: Folds; a class with fewer rows (or texts) is left out and listed.
        inverse_penalty: Logistic regression's C, on standardised features.
        max_rows: Rows beyond this are dropped at random, which `detail` shows.
        num_permutations: Refits on shuffled labels.
        bootstrap: Resampling of rows, or of whole texts where groups are given; also the seed
            of folds, shuffles and subsample.
    """

    label_set: str = "label"
    method: Method = "logistic"
    num_folds: int = 5
    inverse_penalty: float = 1.0
    max_rows: int = 5000
    num_permutations: int = 3
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_choice(self, "method", Method)
        check_at_least(self, 1, "num_permutations")
        check_at_least(self, 2, "num_folds")
        check_at_least(self, 3, "max_rows")
        check_positive(self, "inverse_penalty")


def linear_separability(
    features: np.ndarray,
    labels: np.ndarray,
    config: LinearSeparabilityConfig | None = None,
    *,
    baseline_features: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Result:
    """Cross-validated accuracy of a linear probe, in [0, 1]; `chance` is the majority class.

    Args:
        features: (N, F).
        labels: (N,) int, -1 = missing.
        config: Method, folds, null and resampling.
        baseline_features: (N, G) token embeddings of the same rows, probed on the same folds.
        groups: (N,) int text of each row; folds and resamples keep texts whole.

    Returns:
        `detail`: `shuffled` (null), `baseline` (accuracy, contrast with the score), `per_class`
        accuracy, `balanced_accuracy`, classes left out. `per_item`: `row`, `predicted`.
        Undefined where fewer than two classes have enough rows and texts for the folds.

    Raises:
        ValueError: On fewer than 3 rows, NaN features (rows named) or mismatched arrays.

    Source: Hewitt and Liang 2019, arXiv 1909.03368, for probing against controls.
    """
    config = config or LinearSeparabilityConfig()
    name = f"linear_separability.{config.label_set}"
    features = check_features(features)
    classes = check_labels(labels, len(features))
    texts = np.arange(len(features)) if groups is None else check_labels(groups, len(features))
    if baseline_features is not None:
        baseline_features = check_features(baseline_features, name="baseline_features")
        if len(baseline_features) != len(features):
            raise ValueError(
                f"baseline_features must have {len(features)} rows, got {len(baseline_features)}"
            )
    rows, dropped = _usable(classes, texts, config)
    kept = np.unique(classes[rows])
    if len(kept) < 2:
        return undefined(
            name, _reason(classes, config), len(rows), detail={"classes_left_out": dropped}
        )
    probe = _Probe(features[rows], texts[rows], classes[rows], config)
    predicted = probe.predict(classes[rows])
    hit = (predicted == classes[rows]).astype(np.float64)
    interval = grouped_bootstrap(hit, texts[rows], config.bootstrap)
    per_class = {
        str(c): {
            "accuracy": float(hit[classes[rows] == c].mean()),
            "n": int((classes[rows] == c).sum()),
        }
        for c in kept
    }
    return Result.of(
        name,
        interval,
        chance=max(entry["n"] for entry in per_class.values()) / len(rows),
        higher_is_better=True,
        detail={
            "method": config.method,
            "num_folds": config.num_folds,
            "shuffled": _shuffled(probe, classes[rows], float(hit.mean()), config),
            "baseline": _baseline(baseline_features, rows, texts, classes, hit, config),
            "per_class": per_class,
            "balanced_accuracy": float(np.mean([e["accuracy"] for e in per_class.values()])),
            "classes_left_out": dropped,
            "num_rows_given": len(features),
            "num_unconverged_fits": probe.num_unconverged,
        },
        per_item={"row": rows, "predicted": predicted},
    )


class _Probe:
    """A linear probe over fixed folds, fitted to any labels of the same rows."""

    def __init__(
        self,
        features: np.ndarray,
        texts: np.ndarray,
        classes: np.ndarray,
        config: LinearSeparabilityConfig,
    ) -> None:
        self._features, self._config = features.astype(np.float64), config
        self.num_unconverged = 0
        if config.method == "ridge":
            settings = RidgeConfig(num_folds=config.num_folds, seed=config.bootstrap.seed)
            self._ridge = CrossFittedRidge(self._features, settings, texts)
        else:
            self._folds = list(_folds(texts, classes, config))

    def predict(self, classes: np.ndarray) -> np.ndarray:
        """Held-out predictions (N,)."""
        if self._config.method == "ridge":
            return self._predict_ridge(classes)
        return self._predict_logistic(classes)

    def _predict_ridge(self, classes: np.ndarray) -> np.ndarray:
        names, inverse = np.unique(classes, return_inverse=True)
        one_hot = np.eye(len(names))[inverse]
        return names[(one_hot - self._ridge.fit(one_hot).residuals).argmax(axis=1)]

    def _predict_logistic(self, classes: np.ndarray) -> np.ndarray:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        predicted = np.empty_like(classes)
        for train, held in self._folds:
            model = make_pipeline(
                StandardScaler(), LogisticRegression(C=self._config.inverse_penalty, max_iter=500)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(self._features[train], classes[train])
            self.num_unconverged += int(model[-1].n_iter_.max() >= 500)
            predicted[held] = model.predict(self._features[held])
        return predicted


def _folds(
    texts: np.ndarray, classes: np.ndarray, config: LinearSeparabilityConfig
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    settings = {
        "n_splits": config.num_folds, "shuffle": True, "random_state": config.bootstrap.seed
    }  # fmt: skip
    if len(np.unique(texts)) == len(texts):
        yield from StratifiedKFold(**settings).split(classes, classes)
    else:
        yield from StratifiedGroupKFold(**settings).split(classes, classes, texts)


def _usable(
    classes: np.ndarray, texts: np.ndarray, config: LinearSeparabilityConfig
) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of classes that reach every fold, at most `max_rows`; and the classes left out."""
    rows = np.flatnonzero(classes >= 0)
    if len(rows) > config.max_rows:
        rng = np.random.default_rng(config.bootstrap.seed)
        rows = np.sort(rng.choice(rows, size=config.max_rows, replace=False))
    names, inverse = np.unique(classes[rows], return_inverse=True)
    pairs = np.unique(np.stack([inverse, texts[rows]], axis=1), axis=0)
    num_texts = np.bincount(pairs[:, 0], minlength=len(names))
    enough = num_texts >= config.num_folds
    sizes = np.bincount(inverse, minlength=len(names))
    dropped = {str(names[i]): int(sizes[i]) for i in np.flatnonzero(~enough)}
    return rows[enough[inverse]] if len(rows) else rows, dropped


def _reason(classes: np.ndarray, config: LinearSeparabilityConfig) -> str:
    known = classes[classes >= 0]
    num_classes = len(np.unique(known))
    if num_classes < 2:
        return f"{num_classes} class(es) among {len(known)} labelled rows"
    return (
        f"of {num_classes} classes among {len(known)} labelled rows fewer than two "
        f"have {config.num_folds} rows in different texts"
    )


def _shuffled(
    probe: _Probe, classes: np.ndarray, observed: float, config: LinearSeparabilityConfig
) -> object:
    rng = np.random.default_rng(config.bootstrap.seed)
    values = []
    for _ in range(config.num_permutations):
        labels = rng.permutation(classes)
        values.append(float((probe.predict(labels) == labels).mean()))
    return null_from_samples(observed, np.array(values), config.bootstrap.level)


def _baseline(
    features: np.ndarray | None,
    rows: np.ndarray,
    texts: np.ndarray,
    classes: np.ndarray,
    hit: np.ndarray,
    config: LinearSeparabilityConfig,
) -> dict[str, object] | None:
    """Accuracy on the baseline features, and the score's contrast with it by text."""
    if features is None:
        return None
    probe = _Probe(features[rows], texts[rows], classes[rows], config)
    own = (probe.predict(classes[rows]) == classes[rows]).astype(np.float64)
    _, inverse, sizes = np.unique(texts[rows], return_inverse=True, return_counts=True)
    means = [np.bincount(inverse, weights=values) / sizes for values in (hit, own)]
    return {
        "accuracy": grouped_bootstrap(own, texts[rows], config.bootstrap),
        "contrast_by_text": paired_bootstrap(means[0], means[1], config.bootstrap),
    }
