"""The linear probe: cross-fitted ridge against scikit-learn's ridge and logistic classifiers.

The ridge classifier solves the same problem, so it shows what sharing one factorisation gains;
logistic regression is what most would reach for, and solves a harder one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from analyses.numerics.ridge import CrossFittedRidge, RidgeConfig
from benchmarks.measuring import Row, Setting, compare

WIDTH, CLASSES, FOLDS = 64, 20, 5
FULL_ROWS, QUICK_ROWS = 16_000, 2_000
LABEL_SETS = 4
LARGEST_LOSS = 0.005


def linear_probe(setting: Setting) -> Iterator[Row]:
    """One label set, and several label sets on the same features, five folds each."""
    features, label_sets = blobs(QUICK_ROWS if setting.quick else FULL_ROWS)
    first = label_sets[:1]
    ours = _accuracy(ridge(features, first), first)
    # Towards another problem's solution there is a goal; towards its own there is none.
    peers = (
        ("scikit-learn RidgeClassifierCV", ridge_classifier, None),
        ("scikit-learn LogisticRegression", logistic, 50.0),
    )
    for peer, predict, goal in peers:
        gap = _accuracy(predict(features, first), first) - ours
        for sets, wanted, repeats in ((first, None, 5), (label_sets, goal, 3)):
            yield Row(
                stage=f"linear probe, {len(features)} x {WIDTH}, {CLASSES} classes, "
                f"{len(sets)} label set(s)",
                peer=peer,
                ratio=compare(
                    partial(ridge, features, sets),
                    partial(predict, features, sets),
                    repeats=setting.repeats(repeats),
                    warm_up=0 if len(sets) > 1 else 1,
                ),
                goal=wanted,
                gate=f"held-out accuracy lower by {100 * gap:.2f} points, "
                f"at most {100 * LARGEST_LOSS}",
                gate_passed=gap <= LARGEST_LOSS,
            )


def blobs(num_rows: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Overlapping Gaussian classes, with different directions for each label set."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((num_rows, WIDTH)).astype(np.float32)
    label_sets = []
    for _ in range(LABEL_SETS):
        directions = rng.standard_normal((WIDTH, CLASSES))
        scores = features @ directions + 4.0 * rng.standard_normal((num_rows, CLASSES))
        label_sets.append(scores.argmax(axis=1))
    return features, label_sets


def ridge(features: np.ndarray, label_sets: list[np.ndarray]) -> list[np.ndarray]:
    """Held-out predictions; one factorisation serves every label set."""
    probe = CrossFittedRidge(features, RidgeConfig(num_folds=FOLDS))
    one_hots = (np.eye(CLASSES)[labels] for labels in label_sets)
    return [(one_hot - probe.fit(one_hot).residuals).argmax(axis=1) for one_hot in one_hots]


def logistic(features: np.ndarray, label_sets: list[np.ndarray]) -> list[np.ndarray]:
    """Held-out predictions, with one fit per label set and fold."""
    from sklearn.linear_model import LogisticRegression

    return _held_out(LogisticRegression(max_iter=500), features, label_sets)


def ridge_classifier(features: np.ndarray, label_sets: list[np.ndarray]) -> list[np.ndarray]:
    """Held-out predictions, with one fit per label set and fold; it chooses among our penalties."""
    from sklearn.linear_model import RidgeClassifierCV

    training_rows = len(features) * (FOLDS - 1) // FOLDS
    penalties = tuple(training_rows * penalty for penalty in RidgeConfig().penalties)
    return _held_out(RidgeClassifierCV(penalties), features, label_sets)


def _held_out(
    classifier: object, features: np.ndarray, label_sets: list[np.ndarray]
) -> list[np.ndarray]:
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), classifier)
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    return [cross_val_predict(model, features, labels, cv=folds) for labels in label_sets]


def _accuracy(predictions: list[np.ndarray], label_sets: list[np.ndarray]) -> float:
    return float(np.mean(predictions[0] == label_sets[0]))
