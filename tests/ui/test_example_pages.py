"""The example stands in where there is no study: every page is alive, and says that it is one."""

from __future__ import annotations

import shutil

import pytest

from tests.ui.conftest import PAGES
from tests.ui.test_pages import DRAWN, TITLES
from workbench.pipeline.example import FOLDER


def chosen_study(app) -> str:
    return {box.label: box.value for box in app.selectbox}["Study"]


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_the_example_where_there_is_no_study(page, open_page, example_runs):
    app = open_page(page, example_runs)
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert [warning.value for warning in app.warning] == []
    assert app.title[0].value == TITLES[page]
    assert chosen_study(app) == "example"
    assert any("Example" in text.value for text in app.markdown)
    assert any(button.label == "Train your own" for button in app.button)
    assert len(app.get("plotly_chart")) >= (1 if page in DRAWN else 0)
    assert not any("not finished" in info.value for info in app.info)


def test_example_shows_a_miss_of_each_arm(open_page, example_runs):
    app = open_page("study", example_runs)
    shown = [part.proto.body for part in app.get("html")]
    assert sum("meant" in body and "point by" in body for body in shown) == 2


def test_pages_write_beside_the_runs_and_not_into_the_checkout(open_page, example_runs):
    open_page("study", example_runs)
    assert list((example_runs / FOLDER).glob("*/example/study.json"))
    assert [entry.name for entry in example_runs.iterdir() if entry.name[0] != "."] == []


def test_example_gives_way_to_a_study_of_the_readers_own(open_page, copied_runs):
    app = open_page("study", copied_runs)
    assert chosen_study(app) == "smoke"
    assert not any(button.label == "Train your own" for button in app.button)
    assert not (copied_runs / FOLDER).exists()


def test_example_stays_with_a_reader_who_has_it_open(open_page, example_runs, smoke_runs, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(example_runs, runs)
    app = open_page("study", runs)
    shutil.copytree(smoke_runs / "smoke", runs / "smoke")
    app.run()
    assert chosen_study(app) == "example"
    assert [warning.value for warning in app.warning] == []


def test_stages_of_the_example_cannot_be_started(open_page, example_runs):
    app = open_page("runs", example_runs, section="Stages")
    assert not app.exception
    assert any("The example is finished" in info.value for info in app.info)
    assert not any(button.label == "Start" for button in app.button)


def test_runs_says_that_the_example_is_what_is_shown(open_page, example_runs):
    said = open_page("runs", example_runs).info[0].value
    assert "no study of your own yet" in said
    assert "the example" in said
    assert "New study" in said
