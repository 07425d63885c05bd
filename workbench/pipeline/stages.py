"""The table of stages: what a study consists of, each stage below those it needs.

Running a study, running one stage, showing states on pages, and forking are loops over this table.
A new kind of stage is one new entry; its code and fingerprint are in the stage's own room. What
follows all runs (pairs, comparison, report) is `run_study.conclude`. This
module imports them all, so import it late where only a stage's name is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.config.run import needs_teacher
from workbench.config.training import TrainingConfig
from workbench.errors import DamagedArtefactError, InputError
from workbench.machine.context import StageContext
from workbench.probes.catalogue import probe_names
from workbench.probes.run import probe_fingerprint, probe_run
from workbench.sample.generators import sample_generator, writing_fingerprint
from workbench.sample.held_out import sample_run, sampling_fingerprint
from workbench.sample.previews import SampleWriter
from workbench.sample.references import prepare_references, references_fingerprint
from workbench.score.evaluate import (
    baselines_fingerprint,
    evaluate_run,
    evaluation_fingerprint,
    prepare_baselines,
)
from workbench.store.checkpoints import MODEL, STATE, list_checkpoints
from workbench.store.json_files import read_json
from workbench.store.manifest import is_complete, verify
from workbench.study.corpus import accepted_fingerprint, prepare_corpus
from workbench.study.folders import Run, Study
from workbench.study.generators import GeneratorRun, generator_runs
from workbench.study.model_content import is_exchanged
from workbench.train.flow import flow_fingerprint, train_flow
from workbench.train.generators import generator_fingerprint, train_generator
from workbench.train.language_model import language_model_fingerprint, train_language_model
from workbench.train.latents import latents_fingerprint, store_latents
from workbench.train.teacher_states import prepare_teacher, states_fingerprint, teacher_content
from workbench.train.vae import train_vae, vae_fingerprint

Kind = Literal["artefact", "training", "documents"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageState:
    """How far a stage is under the current settings.

    Attributes:
        done: finished units: steps of a training, probes, or folders.
        total: all units.
        unit: what is counted.
    """

    done: int
    total: int
    unit: str

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to compute."""
        return self.done >= self.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of a study, of each of its runs, or of each of its generators: its `owner`.

    Attributes:
        name: used in `needs`, in job names and in results.
        of: whether it belongs to the study, to each run, or to each generator.
        shared: made once, before the runs start side by side.
        kind: `artefact`: folders published whole; `training`: checkpoints; `documents`: JSON files.
        needs: names of the stages that it depends on.
        fingerprint: takes the owner; for a training optionally another training, for documents
            also the document's name.
        folders: where an owner's results are; none where the stage does not apply.
        run: makes what is missing, given the owner, a context and names of parts (probes). Its
            result is reported when only this stage was requested.
        training: the settings of a training.
        files: other files that belong to it.
        still_holds: whether a stored folder was made with the models that are here now.
        accepts: the fingerprint that a stored folder must have; None uses the owner's own.
        parts: names of an owner's documents.
        title: its name on pages.
        makes: its result in words, for pages.
        verb: the command that runs only this stage.
    """

    name: str
    of: Literal["study", "run", "generator"]
    shared: bool = False
    kind: Kind = "artefact"
    needs: tuple[str, ...] = ()
    fingerprint: Callable[..., str]
    folders: Callable[[Any], list[Path]]
    run: Callable[[Any, StageContext, Sequence[str]], Mapping[str, Any]]
    training: Callable[[Any], TrainingConfig] | None = None
    files: Callable[[Any], list[Path]] = lambda owner: []
    still_holds: Callable[[Any, Path], bool] = lambda owner, folder: True
    accepts: Callable[[Any, Path], str] | None = None
    parts: Callable[[Any], list[str]] = lambda owner: []
    title: str = ""
    makes: str = ""
    verb: tuple[str, ...] = ()

    def wanted(self, owner: Any, folder: Path) -> str:
        """The fingerprint that makes a stored folder this stage of an owner."""
        return self.accepts(owner, folder) if self.accepts else self.fingerprint(owner)

    def state(self, owner: Any, parts: Sequence[str] = ()) -> StageState:
        """How far this stage of an owner is, found without loading weights.

        Args:
            owner: a study, or a run of a prepared study.
            parts: names of the documents to count; if empty, those of the study.

            Raises:
                DamagedArtefactError: the stage's stored results cannot be read.
        """
        if self.training is not None:
            return _trained(self, owner, self.training(owner).num_steps)
        folders = self.folders(owner)
        if self.kind == "documents":
            return _written(self, owner, folders[0], list(parts) or self.parts(owner))
        found = [is_complete(folder, self.wanted(owner, folder)) for folder in folders]
        found += [file.is_file() for file in self.files(owner)]
        return StageState(done=sum(found), total=len(found), unit="parts")


def _trained(stage: Stage, owner: Any, num_steps: int) -> StageState:
    """Steps of the newest sound checkpoint trained under these settings."""
    steps, print_ = 0, stage.fingerprint(owner)
    for path in list_checkpoints(stage.folders(owner)[0]):
        # A damaged checkpoint does not count: training continues from the one before it.
        with suppress(DamagedArtefactError):
            verify(path, names=frozenset({MODEL, STATE}))
            if read_json(path / STATE)["state"].get("fingerprint") == print_:
                steps = int(path.name.rpartition("-")[2])
    return StageState(done=steps, total=num_steps, unit="steps")


def _written(stage: Stage, owner: Any, folder: Path, names: Sequence[str]) -> StageState:
    files = {name: folder / f"{name}.json" for name in names}
    done = sum(
        file.is_file() and read_json(file).get("fingerprint") == stage.fingerprint(owner, name)
        for name, file in files.items()
    )
    return StageState(done=done, total=len(names), unit=stage.name)


def _told(stage: str, make: Callable[[Any, StageContext], object], folder: str) -> Callable:
    """Wrap `make` as a stage's `run`, which returns where the results are."""

    def run(owner: Any, context: StageContext, parts: Sequence[str] = ()) -> dict[str, Any]:
        make(owner, context)
        return {stage: str(getattr(owner, folder))}

    return run


def _teacher_folders(run: Run) -> list[Path]:
    return [run.study.teacher_dir(run.config)] if needs_teacher(run.config) else []


def _make_teacher(run: Run, context: StageContext, parts: Sequence[str] = ()) -> dict[str, Any]:
    if needs_teacher(run.config):
        prepare_teacher(run.study, run.config, context)
    return {}


def _train_flow(run: Run, context: StageContext) -> None:
    train_flow(run, context, hooks=SampleWriter(run, context))


def _probe(run: Run, context: StageContext, parts: Sequence[str] = ()) -> dict[str, Any]:
    return {"probes": probe_run(run, context, parts)}


def _evaluate(
    run: Run | GeneratorRun, context: StageContext, parts: Sequence[str] = ()
) -> dict[str, Any]:
    return evaluate_run(run, context)


_ALL = (
    Stage(
        name="corpus", of="study", shared=True,
        fingerprint=lambda study: accepted_fingerprint(study.config.base, study.corpus_dir),
        accepts=lambda study, folder: accepted_fingerprint(study.config.base, folder),
        folders=lambda study: [study.corpus_dir],
        run=_told("corpus", prepare_corpus, "corpus_dir"),
    ),
    # Before the judge is trained, so that a missing teacher is reported at once.
    Stage(
        name="teacher states", of="run", shared=True, needs=("corpus",),
        fingerprint=lambda run: states_fingerprint(run.study, run.config.teacher),
        folders=_teacher_folders,
        run=_make_teacher,
        still_holds=lambda run, folder: not is_exchanged(
            folder, teacher_content(run.study, run.config.teacher)
        ),
    ),
    Stage(
        name="language model", of="study", shared=True, kind="training", needs=("corpus",),
        fingerprint=language_model_fingerprint,
        folders=lambda study: [study.language_model_dir],
        training=lambda study: study.config.base.language_model_training,
        run=_told("language model", train_language_model, "language_model_dir"),
    ),
    Stage(
        name="references", of="study", shared=True, needs=("corpus",),
        fingerprint=references_fingerprint,
        folders=lambda study: [study.references_dir],
        run=_told("references", prepare_references, "references_dir"),
    ),
    Stage(
        name="baselines", of="study", shared=True, needs=("references", "language model"),
        fingerprint=baselines_fingerprint,
        folders=lambda study: [study.baselines_dir],
        run=_told("baselines", prepare_baselines, "baselines_dir"),
    ),
    Stage(
        name="vae", of="run", kind="training", needs=("corpus", "teacher states"),
        fingerprint=vae_fingerprint,
        folders=lambda run: [run.vae_dir],
        training=lambda run: run.config.vae_training,
        run=_told("vae", train_vae, "vae_dir"),
        title="Train the VAE", makes="the latent space", verb=("train-vae",),
    ),
    Stage(
        name="latents", of="run", needs=("vae",),
        fingerprint=latents_fingerprint,
        folders=lambda run: [run.latents_dir],
        run=_told("latents", store_latents, "latents_dir"),
    ),
    Stage(
        name="flow", of="run", kind="training", needs=("latents",),
        fingerprint=flow_fingerprint,
        folders=lambda run: [run.flow_dir],
        training=lambda run: run.config.flow_training,
        run=_told("flow", _train_flow, "flow_dir"),
        title="Train the flow", makes="the generator in that space", verb=("train-flow",),
    ),
    Stage(
        name="samples", of="run", needs=("flow",),
        fingerprint=sampling_fingerprint,
        folders=lambda run: [run.samples_dir, run.trajectories_dir],
        run=_told("samples", sample_run, "samples_dir"),
        title="Sample", makes="a continuation of every held-out prompt",
        verb=("sample", "--held-out"),
    ),
    Stage(
        name="probes", of="run", kind="documents", needs=("latents",),
        fingerprint=probe_fingerprint,
        folders=lambda run: [run.probes_dir],
        parts=lambda run: probe_names(run.study.config.base.evaluation.probes),
        run=_probe,
        title="Probe", makes="what the space is like", verb=("probe",),
    ),
    Stage(
        name="evaluation", of="run", needs=("samples",),
        fingerprint=evaluation_fingerprint,
        folders=lambda run: [run.scores_dir],
        files=lambda run: [run.evaluation_file],
        run=_evaluate,
        title="Evaluate", makes="scores of the continuations", verb=("evaluate",),
    ),
    Stage(
        name="generator", of="generator", kind="training", needs=("corpus",),
        fingerprint=generator_fingerprint,
        folders=lambda run: [run.model_dir],
        training=lambda run: run.config.training,
        run=_told("generator", train_generator, "model_dir"),
        title="Train", makes="the network", verb=("train-generator",),
    ),
    Stage(
        name="writing", of="generator", needs=("generator", "references"),
        fingerprint=writing_fingerprint,
        folders=lambda run: [run.samples_dir, run.trajectories_dir],
        run=_told("writing", sample_generator, "samples_dir"),
        title="Sample", makes="a continuation of every held-out prompt",
        verb=("sample", "--held-out"),
    ),
    Stage(
        name="generator scores", of="generator", needs=("writing", "baselines"),
        fingerprint=evaluation_fingerprint,
        folders=lambda run: [run.scores_dir],
        files=lambda run: [run.evaluation_file],
        run=_evaluate,
        title="Evaluate", makes="scores of the continuations", verb=("evaluate",),
    ),
)  # fmt: skip
STAGES: Mapping[str, Stage] = {stage.name: stage for stage in _ALL}
SHARED = tuple(stage for stage in _ALL if stage.shared)
OF_A_RUN = tuple(stage for stage in _ALL if stage.of == "run" and not stage.shared)
OF_A_GENERATOR = tuple(stage for stage in _ALL if stage.of == "generator")
STARTED_ALONE = tuple(stage for stage in OF_A_RUN if stage.verb)


def stages_of(owner: Run | GeneratorRun) -> tuple[Stage, ...]:
    """The stages of a run or of a generator, in order."""
    return OF_A_RUN if isinstance(owner, Run) else OF_A_GENERATOR


def stage_of(owner: Run | GeneratorRun, name: str) -> Stage:
    """The stage `name` of an owner, or the one of its kind that the same verb runs.

    Raises:
        InputError: it has none.
    """
    own, verb = stages_of(owner), STAGES[name].verb
    found = [stage for stage in own if stage.name == name or (verb and stage.verb == verb)]
    if not found:
        known = ", ".join(stage.name for stage in own)
        raise InputError(f"{owner.directory}: has no stage {name!r}; it has {known}")
    return found[0]


def owners(study: Study, stage: Stage) -> list[Any]:
    """The study, its generators, or those of its runs that have such a stage."""
    if stage.of == "study":
        return [study]
    if stage.of == "generator":
        return list(generator_runs(study))
    return [run for run in study.runs if stage.folders(run)]
