"""What pages open on follows rules (docs/APP.md); those that no other test states stand here."""

from __future__ import annotations

import json

import pytest

from workbench.report.ladder import headline_score
from workbench.score.directions import ACCURACY
from workbench.study.folders import open_study
from workbench.ui.sections.study.score_tables import headline_metrics


def test_scores_are_those_that_the_ladder_trusts_and_arms_the_first_two(open_page, smoke_runs):
    study = open_study(smoke_runs / "smoke")
    comparison = json.loads((study.directory / "comparison.json").read_text())
    trusted = headline_score(comparison)
    assert headline_metrics(comparison)[:2] == [ACCURACY, trusted]
    app = open_page("why", smoke_runs)
    assert app.selectbox(key="score").value == trusted
    selection = app.session_state["_selection"]
    assert selection.arms == tuple(study.config.arms)[:2]
    assert selection.seed == study.config.seeds[0]


@pytest.mark.parametrize(
    ("page", "key", "value"),
    [
        ("playback", "prompt-of-smoke", 0),
        ("latent_map", "method", "pca"),
        ("new_study", "preset", "demo"),
        ("new_study", "corpus", "stories"),
        ("runs", "section", "On disk"),
    ],
)
def test_page_opens_on(page, key, value, open_page, smoke_runs):
    asked = {"steps": "4"} if page == "playback" else {}
    assert open_page(page, smoke_runs, **asked).session_state[key] == value


def test_a_choice_without_a_rule_of_its_own_opens_on_the_first(open_page, smoke_runs):
    box = open_page("separability", smoke_runs).selectbox(key="label")
    assert box.proto.default == 0
    assert box.index == 0
