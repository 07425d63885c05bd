"""Classifier two-sample test: how often a linear classifier tells written text from human text.

.5 is human, 1 is found out every time. The classifier learns on the texts of other prompts, so a
text that is special to one prompt does not help it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.settings import check_at_least, check_positive
from analyses.result import Result, undefined
from analyses.statistics.intervals import BootstrapConfig, bootstrap
from analyses.statistics.significance import null_from_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class C2STConfig:
    """How the classifier is trained and tested.

    Attributes:
        num_folds: Cross-validation folds over prompts.
        inverse_penalty: scikit-learn's `C` of the logistic regression.
        num_permutations: Draws of the null, in which the two texts of a prompt change sides.
        seed: Of the folds and of the null.
        bootstrap: Resampling of the prompts.
    """

    num_folds: int = 5
    inverse_penalty: float = 0.1
    num_permutations: int = 500
    seed: int = 0
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_at_least(self, 2, "num_folds")
        check_at_least(self, 1, "num_permutations")
        check_at_least(self, 0, "seed")
        check_positive(self, "inverse_penalty")


def c2st(
    human: np.ndarray,
    written: np.ndarray,
    config: C2STConfig | None = None,
    *,
    featurizer: str,
    empty: np.ndarray | None = None,
) -> Result:
    """Held-out accuracy of a logistic regression, human against written, in [0, 1].

    Row i of both arrays belongs to prompt i, and both rows of a prompt lie in the same fold. An
    empty text counts as found out. The interval resamples prompts, and the null exchanges the two
    texts of a prompt; neither trains the classifier again.

    Args:
        human: (n, F) features of the human texts.
        written: (n, F) features of the written texts.
        config: Folds, penalty, null and interval.
        featurizer: Name of the model that made the features.
        empty: (n,) bool, written texts without a token; their feature rows are not read.

    Returns:
        A result with `chance` .5; `per_item.accuracy` (n,) is each prompt's mean over its two
        texts; `detail` holds the AUC and the null.

    Raises:
        ValueError: If the rows do not pair or a feature that is read is not finite.

    Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests", arXiv 1610.06545.
    """
    config = config or C2STConfig()
    name = f"c2st[{featurizer}]"
    first, second, kept = paired_features(human, written, empty)
    n = len(first)
    if kept.sum() < config.num_folds:
        reason = f"{int(kept.sum())} texts cannot fill {config.num_folds} folds"
        return undefined(name, reason, n, chance=0.5, higher_is_better=False)
    margins = _held_out_margins(first, second, kept, config)
    found = _accuracy(margins)
    interval = bootstrap(found, config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=0.5,
        higher_is_better=False,
        detail={
            "auc": _auc(margins[kept]),
            "null": _null(margins, config),
            "num_empty": int((~kept).sum()),
            "num_folds": config.num_folds,
        },
        per_item={"accuracy": found},
    )


def paired_features(
    human: np.ndarray, written: np.ndarray, empty: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both sides as float64 (n, F), zeros in empty rows, and the mask (n,) of the other rows.

    Raises:
        ValueError: If the shapes differ or a feature that is read is not finite.
    """
    first = check_features(human, name="human", min_rows=2)
    second = np.asarray(written)
    if second.shape != first.shape:
        raise ValueError(f"written must have shape {first.shape}, got {second.shape}")
    kept = np.ones(len(first), bool) if empty is None else ~np.asarray(empty, bool)
    if kept.shape != (len(first),):
        raise ValueError(f"empty must have shape ({len(first)},), got {kept.shape}")
    second = np.where(kept[:, None], second, 0.0)
    return first.astype(np.float64), check_features(second, name="written").astype(float), kept


def _held_out_margins(
    human: np.ndarray, written: np.ndarray, kept: np.ndarray, config: C2STConfig
) -> np.ndarray:
    """Decision values (n, 2) of the human and the written text; positive means "written".

    An empty text has an infinite value.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(config.seed).permutation(np.flatnonzero(kept))
    fold = np.full(len(kept), -1)
    fold[order] = np.arange(len(order)) % config.num_folds
    # The human texts of prompts without a written one are tested, too, by the first fold.
    tested = np.where(kept, fold, 0)
    margins = np.full((len(kept), 2), np.inf)
    for number in range(config.num_folds):
        train = kept & (fold != number)
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=config.inverse_penalty, max_iter=200)
        )
        labels = np.repeat([0, 1], train.sum())
        model.fit(np.vstack([human[train], written[train]]), labels)
        held_out = tested == number
        margins[held_out, 0] = model.decision_function(human[held_out])
        if (written_too := held_out & kept).any():
            margins[written_too, 1] = model.decision_function(written[written_too])
    return margins


def _accuracy(margins: np.ndarray) -> np.ndarray:
    """(n,) mean over both texts of a prompt; a value of exactly 0 counts half."""
    right = np.sign(margins * [-1.0, 1.0])
    return (0.5 + 0.5 * right).mean(axis=1)


def _auc(margins: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], len(margins))
    return float(roc_auc_score(labels, margins.T.ravel()))


def _null(margins: np.ndarray, config: C2STConfig) -> object:
    """Accuracy when the texts of each prompt change sides at random."""
    plain, swapped = _accuracy(margins), _accuracy(margins[:, ::-1])
    rng = np.random.default_rng([config.seed, 1])
    sides = rng.random((config.num_permutations, len(margins))) < 0.5
    samples = np.where(sides, plain, swapped).mean(axis=1)
    return null_from_samples(float(plain.mean()), samples)
