"""The verbs of the command line: each opens what it needs, calls the engine, shows the result.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workbench.errors import InputError
from workbench.output import Output

if TYPE_CHECKING:
    from workbench.runs import Run
    from workbench.stages import StageContext

Name = tyro.conf.Positional[str]
Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")]


@dataclass(frozen=True)
class Common:
    """Options of every verb.

    Attributes:
        json: print one JSON object on stdout.
        quiet: no progress on stderr.
        debug: show the traceback of an error.
    """

    json: bool = False
    quiet: bool = False
    debug: bool = False


CommonOptions = tyro.conf.OmitArgPrefixes[Common]


def demo(*, out: str = "", common: CommonOptions = Common()) -> int:
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
    common: CommonOptions = Common(),
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


def prepare(study_name: Name, *, common: CommonOptions = Common()) -> int:
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


def train_vae(run: Name, *, restart: bool = False, common: CommonOptions = Common()) -> int:
    """Train the VAE of one run (also under torchrun).

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        restart: begin again when every checkpoint is damaged.
        common: options of every verb.
    """
    return _single_stage("vae", run, restart, common)


def train_flow(run: Name, *, restart: bool = False, common: CommonOptions = Common()) -> int:
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
    common: CommonOptions = Common(),
) -> int:
    """Probe the latent space of one run, or of twins.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        only: probes to run, by name, separated by commas (see `probes`); by default all.
        umap: also draw the latent map by UMAP.
        pair: another arm of the study: probe both spaces together instead.
        common: options of every verb.
    """
    from workbench.probe import checked_names
    from workbench.runs import find_run
    from workbench.study import run_pair, run_stage

    names = checked_names([name.strip() for name in only.split(",") if name.strip()])
    if pair and (names or umap):
        raise InputError("--pair probes two spaces together; leave out --only and --umap")
    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        if pair:
            output.show(run_pair(found, pair, context))
        else:
            output.show(run_stage(found, "probes", context, names, umap=umap))
    return 0


def evaluate(run: Name, *, common: CommonOptions = Common()) -> int:
    """Sample held-out continuations of one run and score them.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        common: options of every verb.
    """
    return _single_stage("evaluation", run, False, common)


def sample(
    run: Name,
    *,
    prompt: tuple[str, ...] = (),
    prompts: str = "",
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    seed: int = 0,
    trace: bool = False,
    common: CommonOptions = Common(),
) -> int:
    """Continue prompts with one run's generator; the text goes to stdout.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder.
        prompt: one or more texts to continue.
        prompts: a file with a prompt a line.
        num_steps: intervals of the time grid.
        guidance_scale: 1 is off, 0 unconditional.
        sampler: see `generators`.
        seed: of the starting noise.
        trace: store z_t, z_hat, tokens, entropy and margin of every step.
        common: options of every verb.
    """
    from workbench.generate import sample_prompts
    from workbench.runs import find_run

    found = find_run(run)
    texts = [*prompt, *_prompt_lines(prompts)]
    if not texts:
        raise InputError("nothing to continue: give --prompt TEXT or --prompts FILE")
    with Output(common) as output, output.context(found.config.device) as context:
        result = sample_prompts(
            found,
            texts,
            context,
            num_steps=num_steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
            seed=seed,
            trace=trace,
        )
        output.samples(result)
    return 0


def _prompt_lines(path: str) -> list[str]:
    if not path:
        return []
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return [line for line in text.split("\n") if line.strip()]


def compare(a: Name, b: Name, *, common: CommonOptions = Common()) -> int:
    """Differences between two runs with paired intervals.

    Args:
        a: STUDY/ARM/SEED.
        b: STUDY/ARM/SEED of the same corpus.
        common: options of every verb.
    """
    from workbench.compare import compare_runs
    from workbench.runs import find_run

    with Output(common) as output:
        output.contrasts(compare_runs(find_run(a), find_run(b)))
    return 0


def report(study_name: Name, *, common: CommonOptions = Common()) -> int:
    """Write one self-contained HTML file of a study.

    Args:
        study_name: a study's folder, or its name under the runs directory.
        common: options of every verb.
    """
    from workbench.report import write_report
    from workbench.runs import find_study

    with Output(common) as output:
        output.show({"report": str(write_report(find_study(study_name)))})
    return 0


def runs(directory: tyro.conf.Positional[str] = "", *, common: CommonOptions = Common()) -> int:
    """List studies and runs with their state.

    Args:
        directory: where to look; by default the runs directory.
        common: options of every verb.
    """
    from workbench.listing import list_states

    with Output(common) as output:
        output.table("runs", list_states(Path(directory) if directory else None))
    return 0


def verify(path: Name, *, common: CommonOptions = Common()) -> int:
    """Check every file of a run or study against its manifest; exit 3 on damage.

    Args:
        path: a run, a study, or any folder of artefacts.
        common: options of every verb.
    """
    from workbench.verify import verify_path

    with Output(common) as output:
        return output.verification(verify_path(Path(path)))


def doctor(*, common: CommonOptions = Common()) -> int:
    """Say what this machine has and lacks.

    Args:
        common: options of every verb.
    """
    from workbench.doctor import examine

    with Output(common) as output:
        return output.examination(examine())


def scorecard(
    studies: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    score: str = "",
    out: str = "",
    common: CommonOptions = Common(),
) -> int:
    """Hold every probe against generation over the runs of finished studies.

    Args:
        studies: folders or names of studies; by default all under the runs directory.
        score: the generation score whose table is printed; by default the first, MAUVE.
        out: the JSON file; by default `scorecard.json` in the study's folder, or in the runs
            directory for several.
        common: options of every verb.
    """
    from workbench.runs import find_study
    from workbench.scorecard import finished_studies, make_scorecard, table_rows
    from workbench.store.paths import runs_directory

    root = runs_directory()
    found = [find_study(name) for name in studies] or finished_studies(root)
    folder = found[0].directory if len(found) == 1 else root
    file = Path(out) if out else folder / "scorecard.json"
    with Output(common) as output:
        rows = make_scorecard(found, file)
        output.table("rows", table_rows(rows, score))
    return 0


def _catalogue(name: str, common: Common) -> int:
    from workbench import catalog

    with Output(common) as output:
        output.table(name, catalog.describe(name))
    return 0


def app(*, port: int = 8501, browser: bool = True, common: CommonOptions = Common()) -> int:
    """Open the app on the studies of the runs directory.

    Args:
        port: where it listens, on this machine only.
        browser: open a browser window.
        common: options of every verb.
    """
    from workbench.store.paths import VARIABLE, runs_directory

    root = Path(__file__).parent.parent
    headless = "false" if browser and not common.quiet else "true"
    command = [sys.executable, "-m", "streamlit", "run", str(root / "app.py")]
    options = ["--server.port", str(port), "--server.headless", headless]
    # Streamlit reads its settings from the folder it starts in; runs stay where they were.
    os.environ[VARIABLE] = str(runs_directory())
    os.chdir(root)
    os.execv(sys.executable, [*command, *options])


def generators(*, common: CommonOptions = Common()) -> int:
    """List generators and samplers.

    Args:
        common: options of every verb.
    """
    return _catalogue("generators", common)


def probes(*, common: CommonOptions = Common()) -> int:
    """List probes.

    Args:
        common: options of every verb.
    """
    return _catalogue("probes", common)


def presets(*, common: CommonOptions = Common()) -> int:
    """List presets with what they cost and reach.

    Args:
        common: options of every verb.
    """
    return _catalogue("presets", common)


VERBS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "study": study,
    "prepare": prepare,
    "train-vae": train_vae,
    "train-flow": train_flow,
    "probe": probe,
    "evaluate": evaluate,
    "sample": sample,
    "compare": compare,
    "report": report,
    "scorecard": scorecard,
    "runs": runs,
    "verify": verify,
    "doctor": doctor,
    "app": app,
    "generators": generators,
    "probes": probes,
    "presets": presets,
}
