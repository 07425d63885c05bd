"""Make a new study from an existing one, copying what still fits under the new settings.

Each stage has a fingerprint. A stage whose fingerprint stays the same is verified and copied byte
for byte, except for logs of loggers such as TensorBoard. The new study makes the other stages as
usual. The old study is only read.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.config import settings
from workbench.config.places import settled
from workbench.config.study import StudyConfig
from workbench.errors import InputError
from workbench.machine.context import StageContext, update_json
from workbench.pipeline.stages import OF_A_RUN, STAGES, Stage, owners
from workbench.probes.catalogue import PROBES
from workbench.probes.inputs.teacher_inputs import teacher_run_config
from workbench.store.atomic import publish, write_file
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import read_holder, run_lock
from workbench.store.manifest import MANIFEST, is_complete, verify
from workbench.store.milestones import list_milestones
from workbench.store.paths import check_writable
from workbench.study.folders import Run, Study, open_study
from workbench.study.generators import GeneratorRun
from workbench.study.record import create_study, with_more_steps

METRICS = "metrics.jsonl"
Owner = Study | Run | GeneratorRun


def fork_study(
    source: Study, config: StudyConfig, directory: Path, context: StageContext
) -> StudyConfig:
    """Make the study `directory` under `config`, with every stage of `source` that still fits.

    After an interruption, running it again copies what is missing. `forked_from` in `study.json`
    records the source and what was copied. A training that gets more steps continues from the
    source's checkpoint; see `with_more_steps`.

    Returns:
        The settings of the new study.

    Raises:
        InputError: `directory` is the source or another study, or the source is in use.
        DamagedArtefactError: a file to be copied is damaged.
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
        config = with_more_steps(source, settled(config, source.config))
        _refuse_other_study(directory, origin)
        study = create_study(config, directory, forked_from={**origin, "reused": []})
        copy = _Fork(source, study, context)
        copy.everything()
        record = read_json(directory / "study.json")["forked_from"]
        reused = sorted({*record["reused"], *copy.reused})
        update_json(directory / "study.json", {"forked_from": {**record, "reused": reused}})
        context.reporter.note(f"fork: {len(reused)} stages copied from {source.directory}")
    return study.config


def _refuse_other_study(directory: Path, origin: dict[str, str]) -> None:
    if not (directory / "study.json").is_file():
        return
    open_study(directory)
    known = read_json(directory / "study.json").get("forked_from") or {}
    if any(known.get(key) != value for key, value in origin.items()):
        raise InputError(
            f"{directory}: is a study already, but not a fork of {origin['study']} as it is now; "
            "give another --out"
        )


@dataclass
class _Fork:
    """Copies from one study into another, stage by stage in the order of the table."""

    source: Study
    study: Study
    context: StageContext
    reused: list[str] = field(default_factory=list)

    def everything(self) -> None:
        """Copy everything that fits, each stage after those it needs."""
        present: set[tuple[str, str]] = set()
        for stage in STAGES.values():
            for owner in owners(self.study, stage):
                if self._has_needs(owner, stage, present) and self._stage(owner, stage):
                    present.add((stage.name, owner_name(owner)))

    def _has_needs(self, owner: Owner, stage: Stage, present: set[tuple[str, str]]) -> bool:
        for need in (STAGES[name] for name in stage.needs):
            whose = owner if need.of != "study" or isinstance(owner, Study) else owner.study
            if need.folders(whose) and (need.name, owner_name(whose)) not in present:
                return False
        return True

    def _stage(self, owner: Owner, stage: Stage) -> bool:
        """Copy what fits of one stage; True if the stage is there afterwards."""
        if stage.kind == "documents":
            self._documents(owner, stage)
            return True
        if stage.training is not None:
            return self._training(owner, stage)
        # Try every folder: each one is complete by itself.
        found = [
            stage.still_holds(owner, source)
            and self._artefact(source, folder, stage.wanted(owner, source))
            for source, folder in zip(
                self._origins(owner, stage), stage.folders(owner), strict=True
            )
        ]
        if all(found):
            for file in stage.files(owner):
                _copy_file(self._origin(file), file)
        return all(found)

    def _origin(self, target: Path) -> Path:
        """The path in the source that corresponds to `target` in the new study."""
        return self.source.directory / target.relative_to(self.study.directory)

    def _origins(self, owner: Owner, stage: Stage) -> list[Path]:
        """The stage's folders in the source, whose names may be those of an earlier release."""
        known: Owner | None = self.source if isinstance(owner, Study) else None
        if isinstance(owner, Run):
            config = self.source.config
            there = owner.arm in config.arms and owner.seed in config.seeds
            known = self.source.run(owner.arm, owner.seed) if there else None
        targets = stage.folders(owner)
        found = stage.folders(known) if known is not None else []
        return found if len(found) == len(targets) else [self._origin(path) for path in targets]

    def _artefact(self, source: Path, target: Path, fingerprint: str) -> bool:
        """Copy a directory if its fingerprint fits; True if it is there afterwards."""
        if target.exists():
            return is_complete(target, fingerprint)
        if not source.is_dir() or not is_complete(source, fingerprint):
            return False
        self._copy(source, target)
        return True

    def _documents(self, owner: Owner, stage: Stage) -> None:
        """Copy probe results, one file each, and their tables."""
        folder = stage.folders(owner)[0]
        for file in sorted(self._origin(folder).glob("*.json")):
            name, stored = file.stem, read_json(file)
            if name not in PROBES or not self._can_read(PROBES[name].needs):
                continue
            if stored.get("fingerprint") == stage.fingerprint(owner, name):
                for result in stored["results"]:
                    table = file.with_name(f"{result}.parquet")
                    _copy_file(table, folder / table.name)
                _copy_file(file, folder / file.name)
                self._note(folder / file.name)

    def _can_read(self, needs: Sequence[str]) -> bool:
        """Whether the new study has the teacher that a probe reads, if it reads one."""
        aligned = teacher_run_config(self.study)
        return "teacher" not in needs or aligned is None or self.study.teacher_dir(aligned).is_dir()

    def _training(self, owner: Owner, stage: Stage) -> bool:
        """Copy the newest sound checkpoint of a training, or of the shorter one it continues.

        Returns:
            Whether this training has a checkpoint afterwards.
        """
        assert stage.training is not None
        (target,), training = stage.folders(owner), stage.training(owner)
        source = self._origin(target)
        if target.exists():
            return True
        found = load_latest(source, model_only=True)
        fitting = [stage.fingerprint(owner, t) for t in (training, *training.beginnings)]
        if found is None or found.state.get("fingerprint") not in fitting:
            return False
        for notice in found.notices:
            self.context.reporter.note(notice)
        # Before the copy: if the process dies, everything already copied is described.
        if isinstance(owner, Run):
            self._describe(owner, stage)
        _copy_file(self._origin(owner.directory / METRICS), owner.directory / METRICS)
        self._copy(found.path, target / found.path.name)
        for milestone in list_milestones(source, *fitting):
            self._copy(milestone.path, target / milestone.path.relative_to(source))
        return True

    def _describe(self, run: Run, copied: Stage) -> None:
        """Write `run.json` with the pairing hashes of the copied trainings."""
        known = self.source.run(run.arm, run.seed).describe().get("pairing", {})
        trained = [s for s in OF_A_RUN if s.training and s.folders(run)[0].exists()]
        present = [stage.name for stage in (*trained, copied)]
        kept = {key: value for key, value in known.items() if key.split(".")[-1] in present}
        config = settings.to_dict(run.config)
        document = {"arm": run.arm, "seed": run.seed, "config": config, "pairing": kept}
        write_json(run.directory / "run.json", document)

    def _copy(self, source: Path, target: Path) -> None:
        """Copy a published directory; damage before or during the copy is found."""
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


def owner_name(owner: Owner) -> str:
    """The name of a run or generator, or an empty string for the study itself."""
    return "" if isinstance(owner, Study) else owner.name
