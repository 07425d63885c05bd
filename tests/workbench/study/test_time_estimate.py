"""What a study is said to take agrees with what the presets promise."""

import dataclasses

import pytest

from workbench.config.presets.on_two_cores import demo, laptop, smoke
from workbench.pipeline.demo_pace import fit_steps
from workbench.study.time_estimate import reference_seconds
from workbench.ui.sections.new_study.cost_estimate import whole_sentence
from workbench.ui.sections.new_study.study_request import preset_lines


def test_the_estimate_and_the_promise_of_a_preset_agree():
    """The words are the presets' own; the laptop has more of everything, so less than it says."""
    assert "within ten minutes" in preset_lines()["demo"]
    assert "about two hours" in preset_lines()["laptop"]
    assert 300 < reference_seconds(demo()) <= 600
    assert 3600 < reference_seconds(laptop()) <= 7200
    assert "about 8 minutes" in whole_sentence(demo())


def test_it_is_the_pace_of_the_demo_on_the_reference_machine():
    config = demo()
    found = fit_steps(config, 1.0, workers=2)
    assert reference_seconds(config) == pytest.approx(found.seconds(found.wanted))


def test_more_arms_than_cores_take_turns():
    config = demo()
    twice = dataclasses.replace(config, seeds=(0, 1))
    assert reference_seconds(twice) > 1.7 * reference_seconds(config)


def test_another_network_has_no_estimate():
    assert reference_seconds(smoke()) is None
    assert whole_sentence(smoke()) == ""
