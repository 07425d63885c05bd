"""Pages of a study with generators of other families: they stand beside the arms, everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.generators.families import FAMILIES
from tests.ui.conftest import PAGES
from tests.ui.test_playback_page import player_data
from workbench.report.ladder import headline_score
from workbench.report.plain_words import plain_words
from workbench.sample.writing_playback import MASK
from workbench.ui.sections.study.every_number import (
    MOST_ROWS,
    SCROLLING_HEIGHT,
    contrasts_height,
)


@pytest.fixture(scope="module")
def runs(generator_study, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generators") / "runs"
    shutil.copytree(generator_study.directory, folder / "smoke")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_a_study_with_generators(page, open_page, runs):
    app = open_page(page, runs)
    assert not app.exception
    assert [error.value for error in app.error] == []


def test_study_shows_scores_and_costs_beside_the_arms(open_page, runs):
    app = open_page("study", runs)
    tables = [frame.value for frame in app.dataframe]
    scores = next(table for table in tables if "repa" in table and "code name" in table)
    assert {"none", "repa", *FAMILIES} <= set(scores.columns)
    costs = next(table for table in tables if "training compute, FLOPs" in table)
    assert costs["generator"].to_list() == ["none", "repa", *FAMILIES]
    assert any(header.value == "What each one costs" for header in app.subheader)
    spaces = open_page("study", runs, family="knn_coherence")
    shown = next(f.value for f in spaces.dataframe if "code name" in f.value)
    assert not set(FAMILIES) & set(shown.columns)


def test_a_generator_in_training_is_waited_for(open_page, runs, tmp_path):
    begun = Path(shutil.copytree(runs, tmp_path / "runs"))
    study = begun / "smoke"
    model = study / "generators" / "llada" / "seed-0" / "model"
    shutil.rmtree(model / "step-4", ignore_errors=True)
    (model / "step-8").rename(model / "step-4")
    (study / "comparison.json").unlink()
    playback = open_page("playback", begun)
    assert not playback.exception
    assert [error.value for error in playback.error] == []
    assert any("Not trained yet: llada." in caption.value for caption in playback.caption)
    told = open_page("study", begun).info[0].value
    assert "6 of 7 runs are done" in told
    assert "llada/seed-0 is at `generator`, 4 of 8 steps" in told


def test_runs_offers_the_stages_and_logs_of_a_generator(open_page, runs):
    app = open_page("runs", runs, section="Stages")
    app.selectbox(key="stage-run").set_value("llada/seed-0").run()
    assert not app.exception
    starts = [button.key for button in app.button if str(button.key).startswith("start-")]
    assert starts == ["start-generator", "start-writing", "start-generator scores"]
    assert sum("done" in element.value for element in app.markdown) >= 3
    logs = open_page("runs", runs, section="Logs", stage="generator")
    assert not logs.exception
    assert any("Training records" in caption.value for caption in logs.caption)


def test_runs_lists_the_generators_with_their_state_and_scores(open_page, runs):
    app = open_page("runs", runs)
    assert not app.exception
    table = app.dataframe[0].value.set_index("name")
    comparison = json.loads((runs / "smoke" / "comparison.json").read_text())
    score = headline_score(comparison)
    for name in FAMILIES:
        row = table.loc[f"smoke/generators/{name}/seed-0"]
        assert (row["kind"], row["state"]) == ("generator", "done")
        assert row["progress"] == "generator step 8"
        assert row["open"] == "/?study=smoke"
        known = comparison["generators"][name][score]["seeds"][0]
        assert row[plain_words(score)] == pytest.approx(known, abs=1e-4)


def test_many_contrasts_scroll():
    assert contrasts_height(MOST_ROWS) == "content"
    assert contrasts_height(MOST_ROWS + 1) == SCROLLING_HEIGHT


def test_generate_shows_what_each_wrote_after_a_held_out_prompt(open_page, runs):
    app = open_page("generate", runs, steps="3", count="1")
    shown = "".join(element.proto.body for element in app.get("html"))
    for name in FAMILIES:
        assert name in shown


def test_playback_reveals_masks_on_the_clock_of_the_arms(open_page, runs):
    app = open_page("playback", runs, steps="6")
    lanes = {lane["title"]: lane for lane in player_data(app)["lanes"]}
    assert list(lanes) == ["none", "repa", *FAMILIES]
    assert len({len(lane["t"]) for lane in lanes.values()}) == 1
    names = lanes["llada"]["names"]
    first, last = ([names[k] for k in lanes["llada"]["tokens"][s]] for s in (0, -1))
    assert set(first) == {MASK}
    assert MASK not in last
    assert lanes["llada"]["points"] == []
    assert len({lane["colour"] for lane in lanes.values()}) == 2 + len(FAMILIES)
    assert all(set(lane["curves"]) <= set(lanes["none"]["curves"]) for lane in lanes.values())
    assert "NaN" not in json.dumps(player_data(app))
    assert any("mask" in caption.value for caption in app.caption)
