"""Verbs that make things: whole studies and single stages of a run.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.cli.options import (
    DEFAULTS,
    Common,
    CommonOptions,
    Name,
    Overrides,
    Resources,
    settings_given,
)
from workbench.cli.output import ALREADY_DONE, Output
from workbench.cli.show_results import show_comparison, show_course
from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.config.study import StudyConfig
    from workbench.study.folders import Run, Study
    from workbench.train.adapters import Adapter


def demo(*, out: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Train twins on short stories, sample, score and compare: ten minutes on two cores.

    A slower machine is told how long it will take and trains fewer steps. A demo that is there
    already goes on under its own settings.

    Args:
        out: folder of the study; by default `demo` under the runs directory.
        common: options of every verb.
    """
    from workbench.config.places import absolute
    from workbench.store.paths import runs_directory

    directory = absolute(out) if out else runs_directory() / "demo"
    if (directory / "study.json").is_file():
        return study(out=str(directory), common=common)
    return study(preset="demo", overrides=_fitting(common), out=str(directory), common=common)


def _fitting(common: Common) -> Overrides:
    """Settings under which the demo fits into its ten minutes here; says how long it will take."""
    from workbench.config.presets.on_two_cores import demo as preset
    from workbench.pipeline.demo_pace import pace

    config = preset()
    with Output(common) as output, output.context(config.base.device) as context:
        found = pace(config, context)
        context.reporter.note(str(found))
    if found.num_steps == found.wanted:
        return ()
    steps = found.num_steps
    changed = (f"num_steps={steps}", f"checkpoint_every={steps // 4}")
    return (tuple(f"base.flow_training.{setting}" for setting in changed),)


def study(
    *,
    preset: str = "",
    config: str = "",
    overrides: Overrides = (),
    out: str = "",
    fork: str = "",
    executor: str = "",
    resources: Resources = (),
    detach: bool = False,
    restart: bool = False,
    job: str = "",
    common: CommonOptions = DEFAULTS,
) -> int:
    """Run a whole study: prepare, train, sample, probe, score, compare, report.

    Without --preset and --config, the study in --out is resumed with its own settings.

    Args:
        preset: name of a preset (see `presets`).
        config: a YAML file of a study's settings, instead of a preset.
        overrides: settings to change, as in base.vae.latent_width=32; several may follow one --set.
        out: folder of the study; by default its name under the runs directory.
        fork: a study whose stages are copied where they are the same under these settings; it is
            not changed. Without --preset and --config, its own settings are the base.
        executor: run it by a scheduler's tasks: slurm, local (to try that out here), or print (the
            commands, for another scheduler). See docs/MANY_MACHINES.md.
        resources: what each task asks for, by submitit's names, as in timeout_min=240
            gpus_per_node=1 slurm_partition=gpu.
        detach: return as soon as the tasks are handed over; the same command follows them later.
        restart: start a training again if all its checkpoints are damaged (they are kept).
        job: folder of one of the app's jobs: wait for its turn, and report progress there.
        common: options of every verb.
    """
    from workbench.cli.machines import run_on_machines
    from workbench.config.places import absolute
    from workbench.config.request import study_config
    from workbench.machine.jobs import attended
    from workbench.pipeline.fork import fork_study
    from workbench.pipeline.run_study import run_study
    from workbench.store.paths import check_writable, runs_directory
    from workbench.study.folders import find_study

    if (resources or detach) and not executor:
        raise InputError("--resources and --detach need --executor")
    with attended(job) as say:
        source = find_study(fork) if fork else None
        settings = study_config(
            preset=preset,
            file=config,
            overrides=settings_given(overrides),
            stored=_stored_settings(source, out),
        )
        directory = absolute(out) if out else runs_directory() / settings.name
        if source is None:
            check_writable(directory)
        place = (settings.base.device, restart, job)
        with Output(common) as output, output.context(*place) as context:
            if source is not None:
                settings = fork_study(source, settings, directory, context)
            if executor:
                run_on_machines(
                    settings, directory, context, output,
                    executor=executor, resources=settings_given(resources), detach=detach,
                )  # fmt: skip
                return 0
            outcome = run_study(settings, directory, context)
            if outcome.already_done:
                say(ALREADY_DONE)
            show_comparison(output, outcome.comparison, directory, outcome.already_done)
    return 0


def _stored_settings(source: Study | None, out: str) -> StudyConfig | None:
    """Settings of the study to fork, or of the study in `out`; None without either."""
    from workbench.config.places import absolute
    from workbench.study.folders import open_study

    if source is not None:
        return source.config
    present = out and (absolute(out) / "study.json").is_file()
    return open_study(absolute(out)).config if present else None


def example(study_name: Name, *, out: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Pack a finished study as the example that the app shows where there is no study yet.

    Weights are rounded to bfloat16; optimizers, milestones, latents and teacher states are left
    out. Measures over training are computed first if they are missing, a few minutes per arm.

    Args:
        study_name: a finished study's folder, or its name under the runs directory.
        out: the archive; by default the one in this checkout.
        common: options of every verb.
    """
    from workbench.config.places import absolute
    from workbench.pipeline.example import ARCHIVE, make_example
    from workbench.study.folders import find_study

    found = find_study(study_name)
    file = absolute(out) if out else ARCHIVE
    with Output(common) as output, output.context(found.config.base.device) as context:
        size = make_example(found, file, context)
        output.show({"example": str(file), "bytes": size})
    return 0


def single_stage(
    name: str,
    run: str,
    common: Common,
    *,
    restart: bool = False,
    parts: Sequence[str] = (),
    job: str = "",
) -> int:
    """Finish one stage of one run or generator, and say so if it was already done."""
    from workbench.machine.jobs import attended
    from workbench.pipeline.run_stage import run_stage
    from workbench.study.generators import find_writer

    with attended(job) as say:
        found = find_writer(run)
        place = (found.study.config.base.device, restart, job)
        with Output(common) as output, output.context(*place) as context:
            result = run_stage(found, name, context, parts)
            if context.place.is_main:
                output.stage(result)
                if result["already_done"]:
                    say(ALREADY_DONE)
    return 0


def train_vae(
    run: Name, *, restart: bool = False, job: str = "", common: CommonOptions = DEFAULTS
) -> int:
    """Train the VAE of one run (also under torchrun).

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        restart: start again if every checkpoint is damaged.
        job: folder of a job of the app, as in `study`.
        common: options of every verb.
    """
    return single_stage("vae", run, common, restart=restart, job=job)


def train_flow(
    run: Name, *, restart: bool = False, job: str = "", common: CommonOptions = DEFAULTS
) -> int:
    """Train the flow of one run on its VAE's latents (also under torchrun).

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        restart: start again if every checkpoint is damaged.
        job: folder of a job of the app, as in `study`.
        common: options of every verb.
    """
    return single_stage("flow", run, common, restart=restart, job=job)


def train_generator(
    run: Name, *, restart: bool = False, job: str = "", common: CommonOptions = DEFAULTS
) -> int:
    """Train one generator of another family on the study's tokens (also under torchrun).

    Args:
        run: STUDY/GENERATOR/SEED, for example families/llada/0, or its folder.
        restart: start again if every checkpoint is damaged.
        job: folder of a job of the app, as in `study`.
        common: options of every verb.
    """
    return single_stage("generator", run, common, restart=restart, job=job)


def probe(
    run: Name,
    *,
    only: str = "",
    umap: bool = False,
    pair: str = "",
    checkpoints: bool = False,
    adapter: str = "",
    job: str = "",
    common: CommonOptions = DEFAULTS,
) -> int:
    """Probe the latent space of one run, of twins, or over a run's training.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        only: probes to run, by name, separated by commas (see `probes`); by default all.
        umap: also draw the latent map by UMAP.
        pair: another arm of the study: probe both spaces together instead.
        checkpoints: probe the weights at every milestone of both trainings instead.
        adapter: for an arm made by `encode`: what made it (a file, MODULE:NAME, or a name in the
            study's `adapters`), which then decodes for the probes that need it. It has all your
            rights.
        job: folder of a job of the app, as in `study`.
        common: options of every verb.
    """
    from workbench.probes.catalogue import probe_names
    from workbench.probes.run import checked_names

    names = checked_names([name.strip() for name in only.split(",") if name.strip()])
    if not pair and not checkpoints:
        parts = [*(names or probe_names("all")), *(["latent_map_umap"] if umap else [])]
        if adapter:
            return _probe_adapted(run, parts, adapter, common)
        return single_stage("probes", run, common, parts=parts, job=job)
    if names or umap or job or adapter or (pair and checkpoints):
        raise InputError(
            "--pair and --checkpoints have measures of their own: "
            "give one of them, and leave out --only, --umap, --adapter and --job"
        )
    return _probe_pair(run, pair, common) if pair else _probe_course(run, common)


def adapted(word: str, run: Run) -> Adapter | None:
    """The adapter that a user named for an arm; None if none was named."""
    from workbench.train.adapters import open_adapter, source_of

    known = run.study.config.adapters.get(word)
    return open_adapter(known.source if known else source_of(word), run) if word else None


def _probe_adapted(run: str, parts: Sequence[str], adapter: str, common: Common) -> int:
    from workbench.probes.run import probe_run
    from workbench.store.lock import run_lock
    from workbench.study.folders import find_run

    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        loaded = adapted(adapter, found)
        with run_lock(found.directory):
            probe_run(found, context, parts, loaded)
        output.show({"run": str(found.directory), "probes": str(found.probes_dir)})
    return 0


def _probe_pair(run: str, pair: str, common: Common) -> int:
    from workbench.pipeline.run_stage import run_pair
    from workbench.study.folders import find_run

    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        output.show(run_pair(found, pair, context))
    return 0


def _probe_course(run: str, common: Common) -> int:
    from workbench.pipeline.run_stage import run_course
    from workbench.study.folders import find_run

    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        show_course(output, run_course(found, context))
    return 0


def evaluate(run: Name, *, job: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Sample held-out continuations of one run or generator and score them.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder; or STUDY/GENERATOR.
        job: folder of a job of the app, as in `study`.
        common: options of every verb.
    """
    return single_stage("evaluation", run, common, job=job)
