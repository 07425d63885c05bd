"""The demo's pace: what fits into its minutes, and that a demo that is there keeps its settings."""

import json

import pytest

from workbench.cli.main import main
from workbench.config.presets.on_two_cores import demo, smoke
from workbench.pipeline import demo_pace
from workbench.pipeline.demo_pace import BUDGET, fit_steps, pace

WANTED = demo().base.flow_training.num_steps


def test_a_machine_like_the_reference_trains_every_step():
    found = fit_steps(demo(), 1.0, workers=2)
    assert found.num_steps == found.wanted == WANTED
    assert found.seconds(WANTED) <= BUDGET
    assert "instead" not in str(found)


@pytest.mark.parametrize(("ratio", "workers"), [(1.6, 2), (0.8, 1)])
def test_a_slower_machine_trains_what_fits_and_says_so(ratio, workers):
    found = fit_steps(demo(), ratio, workers)
    assert WANTED / 3 <= found.num_steps < WANTED
    assert found.seconds(found.num_steps) <= BUDGET < found.seconds(found.num_steps + 100)
    assert f"{found.num_steps:,} flow steps in each arm instead of {WANTED:,}" in str(found)


def test_a_very_slow_machine_still_trains_a_third_and_tells_the_minutes():
    found = fit_steps(demo(), 20.0, workers=2)
    assert found.num_steps == WANTED // 3
    assert f"about {found.seconds(found.num_steps) / 60:.0f} minutes" in str(found)


def test_real_steps_are_timed(context, monkeypatch):
    monkeypatch.setattr(demo_pace, "TIMED_SECONDS", 0.0)
    found = pace(smoke(), context)
    assert found.ratio > 0
    assert found.wanted == smoke().base.flow_training.num_steps


def test_a_demo_that_is_there_goes_on_under_its_own_settings(copy_smoke, capsys):
    directory = copy_smoke().directory
    assert main(["demo", "--out", str(directory), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["already_done"] is True
