"""A new study from a present one: what still fits under other settings is copied, never shared.

Each stage is known by its fingerprint. One that would be the same under the new settings is
verified and copied byte for byte (logs of loggers such as TensorBoard are not); the others are made
by the study as usual. The old study is only read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.config.study import StudyConfig, needs_teacher, settings
from workbench.errors import InputError
from workbench.machine.context import StageContext, update_json
from workbench.store.atomic import publish, write_file
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import read_holder, run_lock
from workbench.store.manifest import MANIFEST, is_complete, verify
from workbench.store.milestones import list_milestones
from workbench.store.paths import check_writable
from workbench.study.folders import Run, Study, open_study
from workbench.study.record import create_study, with_more_steps

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.config.training import TrainingConfig

METRICS = "metrics.jsonl"


def fork_study(
    source: Study, config: StudyConfig, directory: Path, context: StageContext
) -> StudyConfig:
    """Make the study `directory` under `config`, with every stage of `source` that still fits.

    Run again after an interruption it copies what is missing. `study.json` says in `forked_from`
    where the study comes from and what was taken over. A training that is to be longer goes on from
    the source's checkpoint, as `with_more_steps` says.

    Returns:
        The settings of the new study.

    Raises:
        InputError: `directory` is the source or another study, or the source is being written.
        DamagedArtefactError: something to be copied is damaged.
        StopRequested: stopped between two copies.
    """
    if directory.resolve() == source.directory.resolve():
        raise InputError(f"{directory}: a fork is a new study; give --out DIR or --set name=NAME")
    check_writable(directory)
    holder = read_holder(source.directory)
    if holder is not None:
        raise InputError(f"{source.directory}: in use by {holder}; wait for it, or stop it")
    origin = {
        "study": str(source.directory.resolve()),
        "fingerprint": settings.fingerprint(source.config),
    }
    with run_lock(directory):
        config = with_more_steps(source, config)
        _refuse_other_study(directory, origin)
        study = create_study(config, directory, forked_from={**origin, "reused": []})
        copy = _Fork(source, study, context)
        copy.everything()
        record = read_json(directory / "study.json")["forked_from"]
        reused = sorted({*record["reused"], *copy.reused})
        update_json(directory / "study.json", {"forked_from": {**record, "reused": reused}})
        context.reporter.note(f"fork: {len(reused)} stages taken over from {source.directory}")
    return study.config


def _refuse_other_study(directory: Path, origin: dict[str, str]) -> None:
    if not (directory / "study.json").is_file():
        return
    open_study(directory)
    known = read_json(directory / "study.json").get("forked_from") or {}
    if any(known.get(key) != value for key, value in origin.items()):
        raise InputError(
            f"{directory}: is a study already, and no fork of {origin['study']} as it stands; give "
            "another --out"
        )


@dataclass
class _Fork:
    """Copies from one study into another, stage by stage in the order in which they stand."""

    source: Study
    study: Study
    context: StageContext
    reused: list[str] = field(default_factory=list)

    def everything(self) -> None:
        """All that fits: what runs share, then run by run."""
        from data.corpus_store import open_corpus
        from workbench.study.corpus import corpus_fingerprint

        print_ = corpus_fingerprint(self.study.config.base)
        if not self._artefact(self.source.corpus_dir, self.study.corpus_dir, print_):
            return
        corpus = open_corpus(self.study.corpus_dir)
        self._shared(corpus)
        for run in self.study.runs:
            known = self.source.config
            if run.arm in known.arms and run.seed in known.seeds:
                self._run(self.source.run(run.arm, run.seed), run, corpus)

    def _shared(self, corpus: Corpus) -> None:
        from workbench.sample.references import references_fingerprint
        from workbench.score.evaluate import baselines_fingerprint
        from workbench.train.language_model import language_model_fingerprint
        from workbench.train.teacher_states import states_fit, teacher_fingerprint

        source, study = self.source, self.study
        self._training(
            source.language_model_dir,
            study.language_model_dir,
            study.config.base.language_model_training,
            lambda training: language_model_fingerprint(study, corpus, training),
            lambda: _copy_file(source.directory / METRICS, study.directory / METRICS),
        )
        for config in (run.config for run in study.runs if needs_teacher(run.config)):
            states = source.teacher_dir(config)
            if states.is_dir() and states_fit(study, config, corpus, states):
                print_ = teacher_fingerprint(study, config.teacher, corpus)
                self._artefact(states, study.teacher_dir(config), print_)
        print_ = references_fingerprint(study, corpus)
        if self._artefact(source.references_dir, study.references_dir, print_):
            self._artefact(source.baselines_dir, study.baselines_dir, baselines_fingerprint(study))

    def _run(self, source: Run, run: Run, corpus: Corpus) -> None:
        from workbench.train.flow import flow_fingerprint
        from workbench.train.latents import latents_fingerprint
        from workbench.train.vae import vae_fingerprint

        if needs_teacher(run.config) and not run.study.teacher_dir(run.config).is_dir():
            return
        if not self._training(
            source.vae_dir,
            run.vae_dir,
            run.config.vae_training,
            lambda training: vae_fingerprint(run, corpus, training),
            lambda: _describe(source, run, ["vae"]),
        ):
            return
        latents = latents_fingerprint(run, vae_fingerprint(run, corpus))
        if not self._artefact(source.latents_dir, run.latents_dir, latents):
            return
        self._probes(source, run, corpus)
        if not self._training(
            source.flow_dir,
            run.flow_dir,
            run.config.flow_training,
            lambda training: flow_fingerprint(run, latents, training),
            lambda: _describe(source, run, ["vae", "flow"]),
        ):
            return
        self._results(source, run, corpus)

    def _results(self, source: Run, run: Run, corpus: Corpus) -> None:
        """Samples, trajectories and scores."""
        from workbench.sample.held_out import sampling_fingerprint
        from workbench.score.evaluate import evaluation_fingerprint

        print_ = sampling_fingerprint(run, corpus)
        for name in ("samples_dir", "trajectories_dir"):
            self._artefact(getattr(source, name), getattr(run, name), print_)
        print_ = evaluation_fingerprint(run, corpus)
        if self._artefact(source.scores_dir, run.scores_dir, print_):
            _copy_file(source.evaluation_file, run.evaluation_file)

    def _probes(self, source: Run, run: Run, corpus: Corpus) -> None:
        """Results of probes, a file each, with their tables."""
        from workbench.probes.catalogue import PROBES
        from workbench.probes.inputs.teacher_inputs import teacher_run_config
        from workbench.probes.run import probe_fingerprint

        aligned = teacher_run_config(run.study)
        teacher = aligned is None or run.study.teacher_dir(aligned).is_dir()
        for file in sorted(source.probes_dir.glob("*.json")):
            name, stored = file.stem, read_json(file)
            if name not in PROBES or ("teacher" in PROBES[name].needs and not teacher):
                continue
            if stored.get("fingerprint") == probe_fingerprint(run, corpus, name):
                for result in stored["results"]:
                    table = file.with_name(f"{result}.parquet")
                    _copy_file(table, run.probes_dir / table.name)
                _copy_file(file, run.probes_dir / file.name)
                self._note(run.probes_dir / file.name)

    def _artefact(self, source: Path, target: Path, fingerprint: str) -> bool:
        """Copy a directory whose fingerprint fits; True when it is there afterwards."""
        if target.exists():
            return is_complete(target, fingerprint)
        if not source.is_dir() or not is_complete(source, fingerprint):
            return False
        self._copy(source, target)
        return True

    def _training(
        self,
        source: Path,
        target: Path,
        training: TrainingConfig,
        fingerprint: Callable[[TrainingConfig], str],
        before: Callable[[], None],
    ) -> bool:
        """Copy the newest sound checkpoint of this training, or of one that it goes on from.

        Args:
            source: holds checkpoints.
            target: where they go; one that is there stays.
            training: as it is to be.
            fingerprint: of the stage under a training.
            before: called when there is something to copy.

        Returns:
            Whether the target has a checkpoint of this training.
        """
        if target.exists():
            return True
        found = load_latest(source, model_only=True)
        fitting = [fingerprint(t) for t in (training, *training.beginnings)]
        if found is None or found.state.get("fingerprint") not in fitting:
            return False
        for notice in found.notices:
            self.context.reporter.note(notice)
        before()
        self._copy(found.path, target / found.path.name)
        for milestone in list_milestones(source, *fitting):
            self._copy(milestone.path, target / milestone.path.relative_to(source))
        return True

    def _copy(self, source: Path, target: Path) -> None:
        """Copy a published directory; damage before, or while it is copied, is found."""
        self.context.stop.check("fork")
        manifest = verify(source)
        with publish(target, meta=manifest.meta) as folder:
            leave = shutil.ignore_patterns(MANIFEST)
            shutil.copytree(source, folder, ignore=leave, dirs_exist_ok=True)
        self._note(target)

    def _note(self, target: Path) -> None:
        self.reused.append(target.relative_to(self.study.directory).as_posix())


def _copy_file(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        write_file(target, source.read_bytes())


def _describe(source: Run, run: Run, stages: Sequence[str]) -> None:
    """`run.json` with the proofs of pairing of the stages that are copied, and their records.

    Before the copy, so that whatever is there is described, whenever the process dies.
    """
    pairing = source.describe().get("pairing", {})
    kept = {key: value for key, value in pairing.items() if key.split(".")[-1] in stages}
    config = settings.to_dict(run.config)
    document = {"arm": run.arm, "seed": run.seed, "config": config, "pairing": kept}
    write_json(run.directory / "run.json", document)
    _copy_file(source.directory / METRICS, run.directory / METRICS)
