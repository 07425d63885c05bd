"""Verbs that make things: whole studies and single stages of a run.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from workbench.errors import InputError
from workbench.output import Output
from workbench.verbs.options import DEFAULTS, Common, CommonOptions, Name, Overrides


def demo(*, out: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Train twins on short stories, sample, score and compare: ten minutes on two cores.

    Args:
        out: folder of the study; by default `demo` under the runs directory.
        common: options of every verb.
    """
    return study(preset="demo", out=out, common=common)


def study(
    *,
    preset: str = "",
    config: str = "",
    overrides: Overrides = (),
    out: str = "",
    restart: bool = False,
    job: str = "",
    common: CommonOptions = DEFAULTS,
) -> int:
    """Run a whole study: prepare, train, sample, probe, score, compare, report.

    Args:
        preset: name of a preset (see `presets`).
        config: a YAML file of a study's settings, instead of a preset.
        overrides: settings to change, as in base.vae.latent_width=32.
        out: folder of the study; by default its name under the runs directory.
        restart: begin a training again whose checkpoints are all damaged (they are kept aside).
        job: folder of a job of the app: waits for its turn there, and reports progress into it.
        common: options of every verb.
    """
    from workbench.jobs import attended
    from workbench.presets import study_config
    from workbench.store.paths import check_writable, runs_directory
    from workbench.study import run_study

    folder = Path(job) if job else None
    with attended(folder) if folder else nullcontext():
        settings = study_config(preset=preset, file=config, overrides=overrides)
        directory = Path(out) if out else runs_directory() / settings.name
        check_writable(directory)
        place = (settings.base.device, restart, folder)
        with Output(common) as output, output.context(*place) as context:
            outcome = run_study(settings, directory, context)
            output.comparison(outcome.comparison, directory, outcome.already_done)
    return 0


def prepare(study_name: Name, *, common: CommonOptions = DEFAULTS) -> int:
    """Prepare what a study's runs share: corpus, teacher states, judge, references.

    Args:
        study_name: a study's folder, or its name under the runs directory.
        common: options of every verb.
    """
    from workbench.runs import find_study
    from workbench.store.lock import run_lock
    from workbench.study import prepare_study

    found = find_study(study_name)
    with Output(common) as output, output.context(found.config.base.device) as context:
        with run_lock(found.directory):
            prepare_study(found, context)
        output.show({"study": str(found.directory), "corpus": str(found.corpus_dir)})
    return 0


def _single_stage(name: str, run: str, restart: bool, common: Common) -> int:
    from workbench.runs import find_run
    from workbench.study import run_stage

    found = find_run(run)
    with Output(common) as output, output.context(found.config.device, restart) as context:
        result = run_stage(found, name, context)
        if context.place.is_main:
            output.show(result)
    return 0


def train_vae(run: Name, *, restart: bool = False, common: CommonOptions = DEFAULTS) -> int:
    """Train the VAE of one run (also under torchrun).

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        restart: begin again when every checkpoint is damaged.
        common: options of every verb.
    """
    return _single_stage("vae", run, restart, common)


def train_flow(run: Name, *, restart: bool = False, common: CommonOptions = DEFAULTS) -> int:
    """Train the flow of one run on its VAE's latents (also under torchrun).

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        restart: begin again when every checkpoint is damaged.
        common: options of every verb.
    """
    return _single_stage("flow", run, restart, common)


def probe(
    run: Name,
    *,
    only: str = "",
    umap: bool = False,
    pair: str = "",
    checkpoints: bool = False,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Probe the latent space of one run, of twins, or over a run's training.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        only: probes to run, by name, separated by commas (see `probes`); by default all.
        umap: also draw the latent map by UMAP.
        pair: another arm of the study: probe both spaces together instead.
        checkpoints: probe the weights at every milestone of both trainings instead.
        common: options of every verb.
    """
    from workbench.probe import checked_names
    from workbench.runs import find_run
    from workbench.study import run_course, run_pair, run_stage

    names = checked_names([name.strip() for name in only.split(",") if name.strip()])
    if pair and (names or umap):
        raise InputError("--pair probes two spaces together; leave out --only and --umap")
    if checkpoints and (names or umap or pair):
        raise InputError("--checkpoints has measures of its own; leave out --only, --umap, --pair")
    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        if checkpoints:
            output.course(run_course(found, context))
        elif pair:
            output.show(run_pair(found, pair, context))
        else:
            output.show(run_stage(found, "probes", context, names, umap=umap))
    return 0


def evaluate(run: Name, *, common: CommonOptions = DEFAULTS) -> int:
    """Sample held-out continuations of one run and score them.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        common: options of every verb.
    """
    return _single_stage("evaluation", run, False, common)
