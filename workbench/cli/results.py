"""Verbs that use what a study made: samples, comparisons, reports, the app.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import tyro

from workbench.cli.options import DEFAULTS, CommonOptions, Name
from workbench.cli.output import Output
from workbench.cli.show_results import show_contrasts, show_samples
from workbench.cli.studies import adapted, single_stage
from workbench.cli.table import print_table
from workbench.errors import InputError


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
    candidates: int = 1,
    held_out: bool = False,
    adapter: str = "",
    job: str = "",
    common: CommonOptions = DEFAULTS,
) -> int:
    """Continue prompts with one run or generator of a study; the text goes to stdout.

    With --held-out it is the study's stage instead: the held-out prompts under the study's own
    sampling settings, stored in the run's folder.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder; or STUDY/GENERATOR.
        prompt: one or more texts to continue.
        prompts: a file with one prompt per line.
        num_steps: intervals of the time grid.
        guidance_scale: 1 is off, 0 unconditional.
        sampler: see `generators`.
        seed: of the starting noise.
        trace: store every step: z_t, z_hat, tokens, entropy and margin of an arm; of a generator
            its tokens and which of them stay.
        candidates: draw so many with the seeds from `seed` on, and keep the one that is nearest to
            the others (minimum Bayes risk under BLEU).
        held_out: continue the study's held-out prompts and store what is written.
        adapter: for an arm made by `encode`: what made it (a file, MODULE:NAME, or a name in the
            study's `adapters`), whose velocity() and decode() then run. It has all your rights.
        job: folder of a job of the app, as in `study`; with --held-out.
        common: options of every verb.
    """
    from workbench.sample.continuations import sample_prompts
    from workbench.sample.generators import continue_texts
    from workbench.sample.least_risk import least_risk
    from workbench.study.folders import Run
    from workbench.study.generators import find_writer

    if held_out:
        settings = (num_steps, guidance_scale, sampler)
        if (
            prompt
            or prompts
            or seed
            or trace
            or candidates != 1
            or any(value is not None for value in settings)
        ):
            raise InputError("--held-out samples under the study's settings; leave out the others")
        return _sample_held_out(run, adapter, common, job)
    if job:
        raise InputError("--job stands with --held-out only")
    found = find_writer(run)
    texts = [*prompt, *_prompt_lines(prompts)]
    if not texts:
        raise InputError("nothing to continue: give --prompt TEXT or --prompts FILE")
    if candidates < 1 or (candidates > 1 and trace):
        raise InputError(f"--candidates must be >= 1, and 1 with --trace, got {candidates}")
    given: dict[str, Any] = {
        "num_steps": num_steps, "guidance_scale": guidance_scale, "sampler": sampler,
        "trace": trace,
    }  # fmt: skip
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        if adapter and not isinstance(found, Run):
            raise InputError("--adapter goes with an arm made by `encode`")
        drawn = []
        for own in range(seed, seed + candidates):
            if isinstance(found, Run):
                named = adapted(adapter, found)
                one = sample_prompts(found, texts, context, adapter=named, seed=own, **given)
            else:
                one = continue_texts(found, texts, context, seed=own, **given)
            drawn.append(one)
        show_samples(output, least_risk(drawn) if candidates > 1 else drawn[0])
    return 0


def _sample_held_out(run: str, adapter: str, common: CommonOptions, job: str) -> int:
    from workbench.study.folders import find_run

    if not adapter:
        return single_stage("samples", run, common, job=job)
    from workbench.sample.held_out import sample_run
    from workbench.store.lock import run_lock

    found = find_run(run)
    with Output(common) as output, output.context(found.config.device) as context:
        named = adapted(adapter, found)
        with run_lock(found.directory):
            sample_run(found, context, named)
        output.show({"run": str(found.directory), "samples": str(found.samples_dir)})
    return 0


def _prompt_lines(path: str) -> list[str]:
    if not path:
        return []
    from workbench.config.places import absolute

    try:
        text = absolute(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [line for line in lines if line.strip()]


FRONTIER_SCORES = ("valid_4gram", "nats_per_token", "unigram_entropy", "distinct_2", "repetition")


def frontier(
    run: Name,
    *,
    setting: str = "num_steps",
    values: tuple[float, ...],
    prompts: int = 100,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Quality against cost: continue held-out prompts under several values of one setting.

    Args:
        run: STUDY/ARM/SEED or STUDY/GENERATOR of a finished study.
        setting: what is moved: num_steps, guidance_scale or internal_scale of an arm, or a setting
            of a generator's writing (docs/GENERATORS.md).
        values: what it takes.
        prompts: how many held-out prompts, the first ones.
        common: options of every verb.
    """
    from workbench.report.number_text import interval_text, number_text
    from workbench.score.frontier import frontier_file, measure_frontier
    from workbench.study.generators import find_writer

    if prompts < 2:
        raise InputError(f"--prompts must be >= 2, got {prompts}")
    found = find_writer(run)
    moved = [int(value) if value.is_integer() else value for value in values]
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        rows = measure_frontier(found, setting, moved, prompts, context)
        names = [name for name in FRONTIER_SCORES if name in rows[0]["metrics"]]
        cells = [
            [
                f"{row['value']}{' *' if row['below_own'] else ''}",
                str(row["nfe"]),
                number_text(row["seconds_per_text"]),
                *(interval_text(row["metrics"][name]) for name in names),
            ]
            for row in rows
        ]

        def for_people() -> None:
            print_table([setting, "evaluations", "seconds per text", *names], cells)
            if any(row["below_own"] for row in rows):
                print(
                    "* fewer steps than its own settings: below that it says little of the family"
                )
            print(f"stored in {frontier_file(found, setting)}")

        output.result({"rows": rows}, for_people)
    return 0


def compare(a: Name, b: Name, *, common: CommonOptions = DEFAULTS) -> int:
    """Differences between two runs or generators with paired intervals.

    Args:
        a: STUDY/ARM/SEED, or STUDY/GENERATOR.
        b: another one, asked the same prompts and scored by the same judge.
        common: options of every verb.
    """
    from workbench.report.compare import compare_runs
    from workbench.study.generators import find_writer

    with Output(common) as output:
        show_contrasts(output, compare_runs(find_writer(a), find_writer(b)))
    return 0


def report(study_name: Name, *, markdown: bool = False, common: CommonOptions = DEFAULTS) -> int:
    """Write one self-contained HTML file of a study, or its tables as Markdown.

    Args:
        study_name: a study's folder, or its name under the runs directory.
        markdown: write `report.md`, all numbers as tables, instead of `report.html`.
        common: options of every verb.
    """
    from workbench.report.markdown_tables import write_markdown
    from workbench.report.study_report import write_report
    from workbench.study.folders import find_study

    write = write_markdown if markdown else write_report
    with Output(common) as output:
        output.show({"report": str(write(find_study(study_name)))})
    return 0


def scorecard(
    studies: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    score: str = "",
    out: str = "",
    markdown: bool = False,
    runs: str = "",
    common: CommonOptions = DEFAULTS,
) -> int:
    """Hold every probe against generation over the runs of finished studies.

    Args:
        studies: folders or names of studies, and .parquet files that --runs wrote; by default all
            studies under the runs directory. Studies must share texts, judge, flow and sampler;
            files say nothing of these, and are joined as they are.
        score: the generation score whose table is printed; by default the first one that all share.
        out: the JSON file; by default `scorecard.json` in the study's folder, or in the runs
            directory for several.
        markdown: write the tables of all scores beside it, as Markdown.
        runs: a .parquet file to write with every number of every run, for someone else's scorecard.
        common: options of every verb.
    """
    from workbench.config.places import absolute
    from workbench.report.complement_rows import complement_rows
    from workbench.report.markdown_tables import scorecard_tables
    from workbench.report.run_rows import SUFFIX, joined, read_runs, write_runs
    from workbench.report.scorecard import finished_studies, make_scorecard, run_table, table_rows
    from workbench.store.atomic import write_file
    from workbench.store.paths import runs_directory
    from workbench.study.folders import find_study

    root = runs_directory()
    files = [name for name in studies if name.endswith(SUFFIX)]
    found = [find_study(name) for name in studies if name not in files]
    if not studies:
        found = finished_studies(root)
    folder = found[0].directory if len(found) == 1 and not files else root
    file = absolute(out) if out else folder / "scorecard.json"
    with Output(common) as output:
        tables = [read_runs(absolute(name)) for name in files]
        if found or not files:
            tables.insert(0, run_table(found))
        table = joined(tables)
        rows, added = make_scorecard(table, file)
        if runs:
            write_runs(table, absolute(runs))
        if markdown:
            write_file(file.with_suffix(".md"), scorecard_tables(rows, added).encode())
        strongest = next((one for one in added if one.score == score), added[0])
        output.tables({"rows": table_rows(rows, score), "complements": complement_rows(strongest)})
    return 0


def app(
    *,
    port: int = 8501,
    browser: bool = True,
    adapter: tuple[str, ...] = (),
    common: CommonOptions = DEFAULTS,
) -> int:
    """Open the app on the studies of the runs directory.

    Args:
        port: where it listens, on this machine only.
        browser: open a browser window.
        adapter: files, or MODULE:NAME, that encoded arms of these studies: Generate and Playback
            may run them. They have all your rights.
        common: options of every verb.
    """
    from workbench.store.paths import VARIABLE, runs_directory
    from workbench.train.adapters import code_hash, source_of

    named = []
    for source in map(source_of, adapter):
        code_hash(source)  # what is not there is said before the app starts
        named += ["--adapter", source]
    root = Path(__file__).parents[2]
    headless = "false" if browser and not common.quiet else "true"
    command = [sys.executable, "-m", "streamlit", "run", str(root / "app.py")]
    options = ["--server.port", str(port), "--server.headless", headless, "--", *named]
    # Streamlit reads its settings from the folder it starts in; runs stay where they were.
    os.environ[VARIABLE] = str(runs_directory())
    os.chdir(root)
    os.execv(sys.executable, [*command, *options])
