"""A lazily opened study: pages and findings load its parts here, once, on first use."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.probes.spaces import (
    TEACHER,
    Items,
    Space,
    TeacherSpace,
    held_out_items,
    read_space,
    read_teacher_space,
    taught_run,
)

if TYPE_CHECKING:
    import numpy as np

    from analyses.texts.ngram_scores import NgramIndex
    from data.corpus_store import Corpus
    from models.language_model import CausalLM
    from workbench.machine.devices import Placement
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.probes.typed_text import TypedTeacher
    from workbench.sample.generator import Generates, Generator
    from workbench.sample.playback import Follower
    from workbench.sample.references import References
    from workbench.study.folders import Run, Study

MOST_KEPT = 24  # parts of a study, such as one arm's generator or space


class OpenedStudy:
    """A study and its loaded parts; a part whose files changed is loaded again.

    Args:
        study: the study.
        announce: a context manager entered with a line of text while something is loaded.
        adapters: what the user named, which may run for the arms that they encoded.
    """

    def __init__(
        self,
        study: Study,
        announce: Callable[[str], AbstractContextManager[Any]] = contextlib.nullcontext,
        adapters: Sequence[str] = (),
    ) -> None:
        self.study, self._announce, self._adapters = study, announce, adapters
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def once(self, key: tuple[Any, ...], make: Callable[[], Any], words: str = "") -> Any:
        """What `make()` returned the first time; the least recently used parts are dropped."""
        if key not in self._kept:
            with self._announce(words) if words else contextlib.nullcontext():
                self._kept[key] = make()
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    @cached_property
    def place(self) -> Placement:
        """The best device."""
        from workbench.machine.devices import find_placement

        return find_placement()

    @property
    def corpus(self) -> Corpus:
        """The study's corpus, memory-mapped."""
        return self.study.corpus

    @property
    def references(self) -> References:
        """Held-out prompts and their human continuations."""
        from workbench.sample.references import open_references

        folder = self.study.references_dir
        return self.once(("references", version_of(folder)), lambda: open_references(folder))

    def training_runs(self) -> NgramIndex:
        """All runs of up to four tokens of the training split."""
        from workbench.score.unseen_words import training_runs

        folder = self.study.corpus_dir
        return self.once(("runs", version_of(folder)), lambda: training_runs(self.corpus))

    def language_model(self) -> CausalLM:
        """The judging language model."""
        from workbench.train.language_model import load_language_model

        key = ("language model", version_of(self.study.language_model_dir))
        return self.once(key, lambda: load_language_model(self.study, self.place))

    def generator(self, run: Run) -> Generates:
        """Whatever writes for an arm: its VAE and flow, or its adapter if that was named."""
        from workbench.sample.outside import open_generator
        from workbench.train.adapters import named_adapter

        return self.once(
            ("generator", run.name, version_of(run.vae_dir, run.flow_dir, run.latents_dir)),
            lambda: open_generator(run, self.place, named_adapter(self._adapters, run)),
            "Loading the weights …",
        )

    def trained_pair(self, run: Run) -> Generator:
        """An arm's VAE and flow.

        Raises:
            InputError: it came from a bundle, or is not trained yet.
        """
        from workbench.sample.generator import Generator

        found = self.generator(run)
        if not isinstance(found, Generator):
            raise InputError(f"{run.name} came from a latent bundle: it has no autoencoder of ours")
        return found

    def real_latents(self, run: Run, *, of_targets: bool = False) -> np.ndarray:
        """(N, D) latents of real tokens, in the space that a run's generator moves in."""
        from workbench.sample.outside import OutsideGenerator

        generator = self.generator(run)
        if isinstance(generator, OutsideGenerator):
            return generator.real
        space = self.space(run)
        return space.tokens[space.token_is_target] if of_targets else space.tokens

    def inputs(self, run: Run) -> ProbeInputs:
        """The arrays that probes read."""
        from workbench.probes.inputs.probe_inputs import ProbeInputs

        version = version_of(run.vae_dir, run.latents_dir, run.flow_dir)
        return self.once(("inputs", run.name, version), lambda: ProbeInputs(run, self.place))

    def space(self, run: Run) -> Space:
        """A run's latent space."""
        return self.once(
            ("space", run.name, version_of(run.latents_dir)),
            lambda: read_space(run, self.place),
            "Reading the latents …",
        )

    def teacher(self) -> TeacherSpace | None:
        """The teacher's states of the held-out items; None if no arm has a teacher."""
        run = taught_run(self.study)
        if run is None:
            return None
        key = ("teacher", version_of(self.study.teacher_dir(run.config)))
        return self.once(key, lambda: read_teacher_space(run), "Reading the teacher's states …")

    def typed_teacher(self) -> TypedTeacher | None:
        """Places a typed sentence in the teacher's space; None if the teacher is not here."""
        from workbench.probes.typed_text import TypedTeacher

        run = taught_run(self.study)
        if run is None:
            return None
        key = ("typed teacher", version_of(self.study.teacher_dir(run.config)))
        return self.once(key, lambda: TypedTeacher.load(run, self.place), "Loading the teacher …")

    def follower(self, run: Run) -> Follower:
        """Everything needed to follow prompts through a run."""
        from workbench.sample.playback import Follower

        return Follower(
            run=run,
            corpus=self.corpus,
            generator=self.generator(run),
            references=self.references,
            language_model=self.language_model(),
            real=self.real_latents(run),
        )

    def typed_points(self, runs: Mapping[str, Run], text: str) -> dict[str, np.ndarray]:
        """A typed sentence as a point in each arm's space and the teacher's: its tokens' mean.

        The mean is moved to where a whole text's lies, so that its length says nothing.

        Raises:
            InputError: it has no token, none that is known, or more tokens than the window.
        """
        from workbench.probes.typed_text import moved_to_whole_texts, typed_latents

        points, space, count = {}, None, 0
        for arm, run in runs.items():
            if run.imported is not None:
                continue  # a bundle has no encoder to ask
            latents, ids = typed_latents(self.trained_pair(run), self.corpus, text)
            if (ids == self.corpus.tokenizer.unk_id).all():
                raise InputError("none of these words is in the vocabulary")
            space, count = self.space(run), len(ids)
            points[arm] = moved_to_whole_texts(
                latents.mean(axis=0), count, space.tokens, space.token_positions
            )
        teacher, known = self.typed_teacher(), self.teacher()
        point = None if teacher is None else teacher.point(self.corpus, text)
        if point is not None and known is not None and space is not None:
            point = moved_to_whole_texts(point, count, known.tokens, space.token_positions)
        return points if point is None else {**points, TEACHER: point}

    def items(self, runs: Mapping[str, Run], level: str) -> Items:
        """Items of one level in the spaces of some arms and of the teacher."""
        spaces = {arm: self.space(run) for arm, run in runs.items()}
        return held_out_items(spaces, self.teacher(), self.corpus, level)


def version_of(*folders: Path) -> str:
    """A text that changes when an artefact in or below one of these folders changes."""
    manifests = [
        file
        for folder in folders
        for file in (folder / "manifest.json", *folder.glob("*/manifest.json"))
    ]
    found = [(file, file.stat()) for file in sorted(manifests) if file.is_file()]
    return repr([(str(f), stat.st_mtime_ns, stat.st_size, stat.st_ino) for f, stat in found])
