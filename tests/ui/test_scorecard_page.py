"""The page Scorecard shows the engine's scorecard over every finished study."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from analyses.scorecard.predictors import scorecard
from tests.workbench.report.test_probe_scorecard import FAST, finished
from workbench.config.presets.on_two_cores import smoke
from workbench.report.complement_rows import GAIN, TOGETHER
from workbench.report.published_scorecard import PUBLISHED, read_scorecard
from workbench.report.run_rows import read_runs
from workbench.score.directions import ACCURACY
from workbench.store.json_files import write_json


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
    added, runs = (frame.value for frame in app.dataframe[1:])
    assert list(added["measure"][-2:]) == [TOGETHER, GAIN]
    assert len(runs) == 12


def test_copy_of_a_study_counts_under_its_folder(open_page, tmp_path, quick):
    finished(tmp_path, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "again")
    app = open_page("scorecard", tmp_path)
    assert not app.error
    assert set(app.dataframe[-1].value["study"]) == {"one", "again"}


def test_a_study_of_another_flow_is_left_out_and_named(open_page, tmp_path, quick):
    base = smoke().base
    longer = replace(base, flow_training=replace(base.flow_training, num_steps=16))
    finished(tmp_path, "one")
    finished(tmp_path, "longer", base=longer)
    app = open_page("scorecard", tmp_path, study="one")
    assert not app.error
    assert set(app.dataframe[-1].value["study"]) == {"one"}
    assert any("no common order: longer." in caption.value for caption in app.caption)


def test_too_few_arms_are_said_to_be_too_few(open_page, smoke_runs):
    app = open_page("scorecard", smoke_runs)
    assert not app.error
    assert "2 arms are compared so far" in app.info[0].value
    assert len(app.get("plotly_chart")) == 1  # the documentation's, measured before
    added, every_row, runs = (frame.value for frame in app.dataframe)
    assert len(added) == 5
    assert len(every_row) > 50
    assert set(runs["arm"]) == {"none", "repa"}
    assert app.selectbox(key="score").value == "generation.valid_4gram"
    assert [box.label for box in app.selectbox].count("How writing is scored") == 1


def test_the_published_scorecard_is_that_of_the_published_runs():
    """Every run behind it lies beside it, and its correlations can be computed again."""
    card = read_scorecard(PUBLISHED)
    table = read_runs(PUBLISHED.with_name("scorecard_runs.parquet"))
    assert (card.num_arms, card.num_runs) == (len(set(table.arms)), len(table.arms))
    assert card.num_seeds == len(set(table.seeds))
    score = "generation.nats_per_token"
    again = {row.predictor: row for row in scorecard(table, FAST) if row.score == score}
    rows = card.of(score)
    assert len(rows) > 50
    for row in rows:
        assert row.spearman.value == pytest.approx(again[row.predictor].spearman.value)
        assert row.num_arms == again[row.predictor].num_arms
    assert {row.predictor for row in rows if row.is_baseline} >= {ACCURACY}
    added = card.complements[score]
    alone = {row.predictor: row.spearman.value for row in rows}
    assert len(added.predictors) == 3
    assert [e.value for e in added.alone.values()] == [alone[name] for name in added.predictors]


def test_a_file_that_is_no_scorecard_is_refused(tmp_path):
    file = tmp_path / "scorecard.json"
    write_json(file, {"rows": [{"predictor": "x"}], "arms": [], "runs": 0, "seeds": []})
    with pytest.raises(TypeError, match="score"):
        read_scorecard(file)
    write_json(file, {"rows": []})
    with pytest.raises(KeyError, match="arms"):
        read_scorecard(file)
