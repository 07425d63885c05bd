"""Runs in rows, probes and generation scores in columns: what the scorecard is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTable:
    """One row per run.

    Attributes:
        arms: (R,) arm of each run; runs of one arm differ in the seed only.
        families: (R,) family of each run (teacher, width, noise), for leaving one out.
        seeds: (R,) seed of each run; no arm has one twice.
        probes: Name -> (R,), NaN where a probe is not defined for a run.
        scores: Generation score name -> (R,).
        baselines: Trivial predictors (reconstruction, parameters) -> (R,).
        higher_is_better: Direction of every probe, score and baseline.
    """

    arms: Sequence[str]
    families: Sequence[str]
    seeds: Sequence[int]
    probes: Mapping[str, np.ndarray]
    scores: Mapping[str, np.ndarray]
    baselines: Mapping[str, np.ndarray]
    higher_is_better: Mapping[str, bool]

    def __post_init__(self) -> None:
        n = len(self.arms)
        for name in ("families", "seeds"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"{name} must have {n} entries, got {len(getattr(self, name))}")
        pairs = sorted(set(zip(self.arms, self.families, strict=True)))
        for (arm, family), (other, second) in pairwise(pairs):
            if arm == other:
                raise ValueError(f"arm {arm!r} lies in two families: {family!r} and {second!r}")
        runs = sorted(zip(self.arms, self.seeds, strict=True))
        for run, following in pairwise(runs):
            if run == following:
                raise ValueError(f"arm {run[0]!r} has seed {run[1]} twice")
        twice = sorted(set(self.probes) & set(self.baselines))
        if twice:
            raise ValueError(f"{twice[0]!r} is both a probe and a baseline")
        for name, column in (*self.predictors(), *self.scores.items()):
            _check_column(name, column, n)
            if name not in self.higher_is_better:
                raise ValueError(f"higher_is_better has no entry for {name!r}")

    def predictors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Probes, then baselines."""
        yield from self.probes.items()
        yield from self.baselines.items()

    def oriented(self, name: str, column: np.ndarray) -> np.ndarray:
        """The column with its sign turned so that higher is better."""
        return np.asarray(column, dtype=np.float64) * (1.0 if self.higher_is_better[name] else -1.0)


def _check_column(name: str, column: np.ndarray, n: int) -> None:
    if np.shape(column) != (n,):
        raise ValueError(f"{name} must have shape ({n},), got {np.shape(column)}")
    bad = np.flatnonzero(np.isinf(column))
    if bad.size:
        raise ValueError(f"{name} is infinite in run(s) {', '.join(map(str, bad[:5]))}")
