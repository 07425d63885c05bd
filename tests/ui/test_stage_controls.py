"""Single stages started from the page Runs: done ones offer nothing, others run as jobs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from workbench.cli.main import parse
from workbench.cli.output import ALREADY_DONE
from workbench.machine import jobs
from workbench.pipeline.stages import STAGES, STARTED_ALONE
from workbench.study.folders import Run, open_study
from workbench.ui.sections.runs.stage_controls import stage_arguments


def stage_buttons(app) -> dict[str, object]:
    keys = {f"start-{stage.name}": stage.name for stage in STARTED_ALONE}
    return {keys[button.key]: button for button in app.button if button.key in keys}


def run_of(runs: Path) -> Run:
    return open_study(runs / "smoke").run("repa", 0)


def test_done_stages_offer_nothing_to_start(open_page, smoke_runs):
    app = open_page("runs", smoke_runs, section="Stages")
    buttons = stage_buttons(app)
    assert list(buttons) == [stage.name for stage in STARTED_ALONE]
    assert all(button.disabled for button in buttons.values())
    assert any("is done" in element.value for element in app.markdown)


@pytest.mark.long
def test_stage_started_from_the_page_is_made_by_a_job(open_page, copied_runs):
    run = run_of(copied_runs)
    shutil.rmtree(run.samples_dir)
    app = open_page("runs", copied_runs, section="Stages", a="repa")
    buttons = stage_buttons(app)
    assert [name for name, button in buttons.items() if not button.disabled] == ["samples"]
    buttons["samples"].click().run()
    assert not app.exception
    (job,) = jobs.list_jobs()
    end = time.monotonic() + 200
    while job.is_open:
        assert time.monotonic() < end
        time.sleep(0.3)
    assert job.state == "done", job.log()
    stages, _ = jobs.read_progress(job)
    assert any(stage.stage.startswith("sampling") and stage.share == 1 for stage in stages)
    app.run()
    assert all(button.disabled for button in stage_buttons(app).values())


def test_job_of_a_stage_that_is_done_says_so(copied_runs, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(copied_runs))
    run = run_of(copied_runs)
    part = f"{run.name} probes"
    arguments = stage_arguments(run, STAGES["probes"], ["scale"])
    job = jobs.submit(arguments, "again", run.study.directory, part)
    with pytest.raises(jobs.InputError, match="queue"):
        jobs.submit(arguments, "again", run.study.directory, part)
    end = time.monotonic() + 200
    while job.is_open:
        assert time.monotonic() < end
        time.sleep(0.3)
    assert (job.state, job.last_words) == ("done", ALREADY_DONE)


@pytest.mark.parametrize("stage", STARTED_ALONE, ids=lambda stage: stage.name)
def test_every_stage_has_a_verb_that_takes_a_job(stage, smoke_runs):
    verb, *arguments = stage_arguments(run_of(smoke_runs), stage)
    assert parse(verb, [*arguments, "--job", "folder"]).keywords["job"] == "folder"
