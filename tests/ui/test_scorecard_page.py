"""The page Scorecard shows the engine's scorecard over every finished study."""

from __future__ import annotations

import shutil

import pytest

from tests.workbench.report.test_probe_scorecard import FAST, finished


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("analyses.scorecard.predictors.ScorecardConfig", lambda: FAST)


def test_page_shows_what_the_engine_finds(open_page, tmp_path, quick):
    finished(tmp_path, "one")
    app = open_page("scorecard", tmp_path)
    assert not app.exception
    assert not app.error
    mauve, nats = app.selectbox(key="score").options
    assert mauve.startswith("MAUVE")
    assert "nats" in nats or "per token" in nats
    table = app.dataframe[0].value.set_index("predictor")
    assert table.loc["knn_coherence.token.pos", "Spearman"].startswith("1.00")
    assert table.loc["alignment.cknna", "Spearman"].startswith("-1.00")
    assert not [name for name in table.index if name.startswith("trajectory")]
    assert len(app.get("plotly_chart")) == 1
    assert len(app.dataframe[1].value) == 12


def test_copy_of_a_study_counts_under_its_folder(open_page, tmp_path, quick):
    finished(tmp_path, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "again")
    app = open_page("scorecard", tmp_path)
    assert not app.error
    assert set(app.dataframe[1].value["study"]) == {"one", "again"}


def test_too_few_arms_are_said_to_be_too_few(open_page, smoke_runs):
    app = open_page("scorecard", smoke_runs)
    assert not app.error
    assert "2 arms are compared so far" in app.info[0].value
    assert len(app.dataframe) == 1
