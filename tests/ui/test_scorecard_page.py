"""The page Scorecard shows the engine's scorecard over every finished study."""

from __future__ import annotations

import shutil

import pytest

from tests.workbench.report.test_probe_scorecard import FAST, finished
from workbench.report.written_scorecard import SIXTEEN, written_rows


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("analyses.scorecard.predictors.ScorecardConfig", lambda: FAST)


def test_page_shows_what_the_engine_finds(open_page, tmp_path, quick):
    finished(tmp_path, "one")
    app = open_page("scorecard", tmp_path)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="score").index == 0
    mauve, nats = app.selectbox(key="score").options
    assert mauve.startswith("MAUVE")
    assert "nats" in nats or "per token" in nats
    table = app.dataframe[0].value.set_index("code name")
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
    assert len(app.get("plotly_chart")) == 1  # over sixteen autoencoders, measured before
    every_row, runs = (frame.value for frame in app.dataframe)
    assert len(every_row) > 60
    assert set(runs["arm"]) == {"none", "repa"}
    assert app.selectbox(key="score").value == "generation.valid_4gram"
    assert [box.label for box in app.selectbox].count("How writing is scored") == 1


def test_sixteen_are_the_numbers_of_the_document():
    rows = {(row.score, row.predictor): row for row in written_rows(SIXTEEN)}
    assert len({score for score, _ in rows}) == 5
    plot = rows["generation.valid_4gram", "knn_coherence.text.plot"]
    assert (plot.spearman.value, plot.spearman.low, plot.spearman.high) == (0.86, 0.65, 0.92)
    assert (plot.num_arms, plot.verdict, plot.is_baseline) == (16, "foretells", False)
    read = rows["generation.valid_4gram", "reconstruction.token_accuracy"]
    assert (read.is_baseline, read.spearman.value, read.partial.value) == (True, 0.28, None)
    assert ("generation.mauve[minilm]", "velocity_information.mood") not in rows


def test_document_with_another_table_is_refused(tmp_path):
    file = tmp_path / "scorecard.md"
    file.write_text("## generation.x\n\n| probe | 0.1 [0.0, 0.2] | 1 |\n")
    with pytest.raises(ValueError, match="3 cells"):
        written_rows(file)
    file.write_text("## generation.x\n\n| probe | high | 1 | 1 | 1 | 1 | 1 | 16 | foretells |\n")
    with pytest.raises(ValueError, match="not a number"):
        written_rows(file)
