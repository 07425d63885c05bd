"""MAUVE's two halves as arrays: features to buckets, and bucket histograms to scores.

The package does both in one call. A bootstrap needs them separately: k-means then runs once, and a
resample of the texts is one matrix product. Both halves follow the package step by step, and tests
compare them with it.

Source: Pillutla et al. 2021, "MAUVE", arXiv 2102.01454, section 3; mauve-text 0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analyses.statistics.intervals import BootstrapConfig, resample_counts

# The package's constants: variance kept before k-means, points on the divergence curve.
_EXPLAINED_VARIANCE = 0.9
_CURVE_POINTS = 25


def reduced(features: np.ndarray) -> np.ndarray:
    """Unit rows, then the principal components that hold .9 of the variance, (N, d) float32."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    rows = normalize(features, norm="l2", axis=1)
    pca = PCA(n_components=None).fit(rows)
    # All rows equal: the ratios are 0 / 0 and one component is as good as any.
    share = np.nan_to_num(np.cumsum(pca.explained_variance_ratio_), nan=1.0)
    kept = int(np.argmax(share >= _EXPLAINED_VARIANCE)) + 1
    return np.ascontiguousarray(pca.transform(rows)[:, :kept], dtype=np.float32)


def bucket_labels(
    reduced_rows: np.ndarray, num_buckets: int, *, seed: int, num_redo: int = 5, max_iter: int = 500
) -> np.ndarray:
    """Bucket of every row (N,) by faiss k-means, with the package's seed convention."""
    import faiss

    kmeans = faiss.Kmeans(
        reduced_rows.shape[1],
        num_buckets,
        niter=max_iter,
        nredo=num_redo,
        update_index=True,
        seed=seed + 2,
        min_points_per_centroid=1,
    )
    kmeans.train(reduced_rows)
    return kmeans.index.search(reduced_rows, 1)[1].ravel().astype(np.int64)


def split_labels(labels: np.ndarray, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut pooled `labels` back into the lengths of `parts`."""
    return np.split(labels, np.cumsum([len(part) for part in parts])[:-1])


def spread_labels(labels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Spread bucket labels of the kept texts over all texts, -1 for an empty one."""
    spread = np.full(len(kept), -1, dtype=np.int64)
    spread[kept] = labels
    return spread


def histograms(labels: np.ndarray, counts: np.ndarray, num_buckets: int) -> np.ndarray:
    """Bucket shares (R, num_buckets) of texts counted `counts` (R, n) times; 0 where none is left.

    A label of -1 (an empty text) falls into no bucket.
    """
    member = (labels[:, None] == np.arange(num_buckets)).astype(np.float64)
    filled = counts @ member
    total = filled.sum(axis=1, keepdims=True)
    return np.divide(filled, total, out=np.zeros_like(filled), where=total > 0)


def mauve_of_histograms(p: np.ndarray, q: np.ndarray, scaling_factor: float) -> np.ndarray:
    """Area under the divergence curve, (R,), for rows of histograms (R, num_buckets).

    The curve is (exp(-c KL(q || r)), exp(-c KL(p || r))) over mixtures r = w p + (1 - w) q. It
    is monotone and runs from (1, 0) to (0, 1), so the package's two areas (one per axis) are
    equal and one trapezoid sum gives both. A row without any mass scores 0.
    """
    x, y = [np.ones(len(p))], [np.zeros(len(p))]
    for weight in np.linspace(1e-6, 1 - 1e-6, _CURVE_POINTS):
        mixture = weight * p + (1 - weight) * q
        x.append(np.exp(-scaling_factor * _kl(q, mixture)))
        y.append(np.exp(-scaling_factor * _kl(p, mixture)))
    x.append(np.zeros(len(p)))
    y.append(np.ones(len(p)))
    area = -np.trapezoid(np.stack(y), np.stack(x), axis=0)
    return np.where((p.sum(axis=1) > 0) & (q.sum(axis=1) > 0), area, 0.0)


def score_samples(
    human: np.ndarray,
    written: np.ndarray,
    counts: tuple[np.ndarray, np.ndarray],
    num_buckets: int,
    scaling_factor: float,
) -> np.ndarray:
    """MAUVE (R,) under counts (R, n) and (R, m) of bucketed texts; label -1 (empty) scores 0."""
    p = histograms(human, counts[0], num_buckets)
    q = histograms(written, counts[1], num_buckets)
    share = (counts[1] @ (written >= 0)) / counts[1].sum(axis=1)
    return share * mauve_of_histograms(p, q, scaling_factor)


def text_counts(
    num_human: int, num_written: int, config: BootstrapConfig
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Counts for both sides: the same prompts where the lengths agree, else independent."""
    streams = np.random.SeedSequence(config.seed).spawn(2)
    first, second = (np.random.default_rng(stream) for stream in streams)
    for human in resample_counts(num_human, config.num_resamples, first):
        if num_human == num_written:
            yield human, human
        else:
            drawn = list(resample_counts(num_written, len(human), second))
            yield human, np.concatenate(drawn)


def over_drawn_seeds(samples: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    """Mean (R,) of samples (S, R) over S k-means seeds drawn anew, with repeats, for each one."""
    rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(4)[3])
    drawn = rng.integers(len(samples), size=samples.shape)
    return np.take_along_axis(samples, drawn, axis=0).mean(axis=0)


def _kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) of every row in nats, with 0 ln 0 = 0; q > 0 wherever p > 0 by construction."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log(ratio)).sum(axis=1)
