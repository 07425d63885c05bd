"""What choosing by a probe costs: overlap of the best k, and the regret of the single choice.

A correlation over all arms can be high although the best arms are in the wrong order, and users
choose among the best. Both numbers are computed over arms, each arm being the mean of its seeds.
"""

from __future__ import annotations

import numpy as np


def top_k_overlap(probe: np.ndarray, score: np.ndarray, k: int, drawn: np.ndarray) -> np.ndarray:
    """Share of the k best arms by `score` that are among the k best by `probe`, (R,).

    Ties go to the earlier arm. NaN where a resample holds k arms or fewer.

    Args:
        probe: (A,) oriented so that higher is better.
        score: (A,) likewise.
        k: Size of both lists.
        drawn: (R, A) bool, the arms of each resample.
    """
    by_probe, by_score = (_best(values, k, drawn) for values in (probe, score))
    shared = (by_probe[:, :, None] == by_score[:, None, :]).any(axis=2).sum(axis=1)
    return np.where(drawn.sum(axis=1) > k, shared / k, np.nan)


def selection_regret(probe: np.ndarray, score: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Best score less the score of the arm that the probe ranks first, over best less mean, (R,).

    0 = the probe picks the best arm, 1 = no better than an arm drawn at random, above 1 = worse.
    Arms tied at the top of the probe count with their mean. NaN where all scores are equal.

    Args:
        probe: (A,) oriented so that higher is better.
        score: (A,) likewise.
        drawn: (R, A) bool, the arms of each resample.
    """
    best = np.where(drawn, score, -np.inf).max(axis=1)
    mean = (drawn * score).sum(axis=1) / drawn.sum(axis=1)
    tops = drawn & (probe == np.where(drawn, probe, -np.inf).max(axis=1)[:, None])
    picked = (tops * score).sum(axis=1) / tops.sum(axis=1)
    room = best - mean
    out = np.full(len(drawn), np.nan)
    return np.divide(best - picked, room, out=out, where=room > 1e-12 * np.abs(best))


def _best(values: np.ndarray, k: int, drawn: np.ndarray) -> np.ndarray:
    """Indices (R, k) of the best drawn arms."""
    return np.argsort(-np.where(drawn, values, -np.inf), axis=1, kind="stable")[:, :k]
