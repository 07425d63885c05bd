"""A study as it is now, opened only as far as its findings need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.probes.opened_study import OpenedStudy

if TYPE_CHECKING:
    import numpy as np

    from analyses.maps.latent_map import LatentMap
    from workbench.probes.spaces import Items
    from workbench.report.arm_metrics import RunScores
    from workbench.sample.playback import Following, PlaybackView
    from workbench.sample.references import References
    from workbench.study.folders import Run, Study


class NotDefinedError(InputError):
    """The study no longer has such a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A number as it is now.

    Attributes:
        value: None if it is not defined.
        low: lower end of its interval.
        high: upper end.
        n: points.
        chance: chance level.
        recomputed: False if the stored result was read.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    chance: float | None = None
    recomputed: bool = True


class Ground:
    """What findings of one study are checked against; every part is made once."""

    def __init__(self, study: Study) -> None:
        self.study, self.opened = study, OpenedStudy(study)
        self._made: dict[Any, Any] = {}

    def once(self, key: tuple[Any, ...], make: Any) -> Any:
        """What `make()` returned the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @property
    def references(self) -> References:
        """The study's held-out prompts."""
        return self.opened.references

    def run(self, arm: str, seed: int) -> Run:
        """One of the study's runs.

        Raises:
            NotDefinedError: the study has no such arm or seed.
        """
        runs = self.study.named_runs.values()
        if arm not in {run.arm for run in runs}:
            raise NotDefinedError(
                f"no arm {arm!r} any more; it has {', '.join(self.study.all_arms)}"
            )
        found = {run.seed: run for run in runs if run.arm == arm}
        if seed not in found:
            raise NotDefinedError(f"no seed {seed} any more; it has {list(found)}")
        return found[seed]

    def scores(self, arm: str, scale: str) -> list[RunScores]:
        """Stored scores of every seed of an arm."""
        from workbench.report.arm_metrics import load_scores

        runs = [self.run(arm, seed) for seed in self.study.config.seeds]
        return self.once(("scores", arm, scale), lambda: [load_scores(r, scale) for r in runs])

    def probed(self, run: Run, probe: str) -> dict[str, dict[str, Any]]:
        """A probe's results as JSON by name, computed now."""
        from workbench.probes.run import probe_results

        return self.once(
            ("probed", run.name, probe),
            lambda: {
                r.name: r.to_json() for r in probe_results(run, probe, self.opened.inputs(run))
            },
        )

    def items(self, arms: Sequence[str], seed: int, level: str) -> Items:
        """Items of a level in the spaces of some arms and of the teacher."""
        if not arms:
            raise NotDefinedError("no arm is named")
        runs = {arm: self.run(arm, seed) for arm in arms}
        return self.once(
            ("items", tuple(arms), seed, level), lambda: self.opened.items(runs, level)
        )

    def maps(self, arms: Sequence[str], seed: int, level: str, method: str) -> LatentMap:
        """Maps of these items."""
        from analyses.maps.latent_map import LatentMapConfig, latent_map

        items = self.items(arms, seed, level)
        config = LatentMapConfig(method="umap" if method == "umap" else "pca")
        return self.once(
            ("maps", tuple(arms), seed, level, method), lambda: latent_map(items.spaces, config)
        )

    def typed_points(self, arms: Sequence[str], seed: int, text: str) -> Mapping[str, np.ndarray]:
        """A typed sentence as a point of each space."""
        runs = {arm: self.run(arm, seed) for arm in arms}
        return self.once(
            ("typed", tuple(arms), seed, text), lambda: self.opened.typed_points(runs, text)
        )

    def followed(self, run: Run, view: PlaybackView) -> Following:
        """One prompt followed through a run."""
        return self.once(
            ("followed", run.name, view), lambda: self.opened.follower(run).follow(view)
        )
