"""A study as it is now, opened only as far as the findings that stand on it ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    from analyses.maps.latent_map import LatentMap
    from data.corpus_store import Corpus
    from workbench.machine.devices import Placement
    from workbench.probes.inputs.run_inputs import ProbeInputs
    from workbench.probes.spaces import Items, Space
    from workbench.report.compare import RunScores
    from workbench.sample.follow import Follower, Following, PlaybackView
    from workbench.sample.generate import Generator
    from workbench.sample.references import References
    from workbench.study.folders import Run, Study


class NotDefinedError(InputError):
    """The study has no such number any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A number as it is now.

    Attributes:
        value: None where it is not defined.
        low: lower end of its interval.
        high: upper end.
        n: points.
        chance: chance level.
        recomputed: False where the stored result was read.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    chance: float | None = None
    recomputed: bool = True


class Ground:
    """What findings of one study are checked on; everything is made once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._made: dict[Any, Any] = {}

    def once(self, key: tuple[Any, ...], make: Any) -> Any:
        """What `make()` returned the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @cached_property
    def place(self) -> Placement:
        """The best device, as the pages take it."""
        from workbench.machine.devices import find_placement

        return find_placement()

    @cached_property
    def corpus(self) -> Corpus:
        """The study's corpus."""
        from data.corpus_store import open_corpus

        return open_corpus(self.study.corpus_dir)

    @cached_property
    def references(self) -> References:
        """The study's held-out prompts."""
        from workbench.sample.references import open_references

        return open_references(self.study.references_dir)

    def run(self, arm: str, seed: int) -> Run:
        """One of the study's runs.

        Raises:
            NotDefinedError: the study has no such arm or seed.
        """
        config = self.study.config
        if arm not in config.arms:
            raise NotDefinedError(f"no arm {arm!r} any more; it has {', '.join(config.arms)}")
        if seed not in config.seeds:
            raise NotDefinedError(f"no seed {seed} any more; it has {config.seeds}")
        return self.study.run(arm, seed)

    def scores(self, arm: str, scale: str) -> list[RunScores]:
        """Stored scores of every seed of an arm."""
        from workbench.report.compare import load_scores

        runs = [self.run(arm, seed) for seed in self.study.config.seeds]
        return self.once(("scores", arm, scale), lambda: [load_scores(r, scale) for r in runs])

    def inputs(self, run: Run) -> ProbeInputs:
        """Arrays that probes look at."""
        from workbench.probes.inputs.run_inputs import ProbeInputs

        return self.once(("inputs", run.name), lambda: ProbeInputs(run, self.place))

    def probed(self, run: Run, probe: str) -> dict[str, dict[str, Any]]:
        """A probe's results as JSON by name, computed now."""
        from workbench.probes.catalogue import PROBES

        return self.once(
            ("probed", run.name, probe),
            lambda: {r.name: r.to_json() for r in PROBES[probe].run(self.inputs(run))},
        )

    def space(self, run: Run) -> Space:
        """A run's latent space."""
        from workbench.probes.spaces import read_space

        return self.once(("space", run.name), lambda: read_space(run, self.place))

    def items(self, arms: Sequence[str], seed: int, level: str) -> Items:
        """Items of a level in the spaces of some arms and of the teacher."""
        from workbench.probes.spaces import held_out_items, read_teacher_space, taught_run

        def make() -> Items:
            spaces = {arm: self.space(self.run(arm, seed)) for arm in arms}
            taught = taught_run(self.study)
            teacher = None if taught is None else read_teacher_space(taught)
            return held_out_items(spaces, teacher, self.corpus, level)

        if not arms:
            raise NotDefinedError("no arm is named")
        return self.once(("items", tuple(arms), seed, level), make)

    def maps(self, arms: Sequence[str], seed: int, level: str, method: str) -> LatentMap:
        """Maps of these items."""
        from analyses.maps.latent_map import LatentMapConfig, latent_map

        items = self.items(arms, seed, level)
        config = LatentMapConfig(method="umap" if method == "umap" else "pca")
        return self.once(
            ("maps", tuple(arms), seed, level, method), lambda: latent_map(items.spaces, config)
        )

    def generator(self, run: Run) -> Generator:
        """A run's VAE and flow."""
        from workbench.sample.generate import load_generator

        return self.once(("generator", run.name), lambda: load_generator(run, self.place))

    def typed_points(self, arms: Sequence[str], seed: int, text: str) -> Mapping[str, np.ndarray]:
        """A typed sentence as a point of each space."""
        from workbench.probes.spaces import TEACHER, taught_run
        from workbench.probes.typed_text import TypedTeacher, typed_latents

        def make() -> dict[str, np.ndarray]:
            points = {
                arm: typed_latents(self.generator(self.run(arm, seed)), self.corpus, text)[0].mean(
                    0
                )
                for arm in arms
            }
            taught = taught_run(self.study)
            teacher = None if taught is None else TypedTeacher.load(taught, self.place)
            point = None if teacher is None else teacher.point(self.corpus, text)
            return points if point is None else {**points, TEACHER: point}

        return self.once(("typed", tuple(arms), seed, text), make)

    def followed(self, run: Run, view: PlaybackView) -> Following:
        """One prompt followed through a run."""
        return self.once(("followed", run.name, view), lambda: self._follower(run).follow(view))

    def _follower(self, run: Run) -> Follower:
        from workbench.sample.follow import Follower
        from workbench.score.judge import Judge

        judge = self.once(("judge",), lambda: Judge(self.study, self.place))
        return Follower(
            run=run,
            corpus=self.corpus,
            generator=self.generator(run),
            references=self.references,
            language_model=judge.language_model,
            real=self.space(run).tokens,
        )
