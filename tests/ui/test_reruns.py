"""What a page computes once: a rerun draws no figure anew and reads no stored result twice."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from workbench.study.folders import open_study
from workbench.ui.kit.cached import probe_results
from workbench.ui.kit.kept_figure import kept_figure

BUILT: list[float] = []


def line(values: np.ndarray, *, name: str) -> go.Figure:
    BUILT.append(float(values[-1]))
    return go.Figure().add_scatter(y=values.tolist(), name=name)


def test_a_figure_is_built_once_and_anew_when_any_number_changes():
    BUILT.clear()
    values = np.arange(5000.0)
    first = kept_figure(line, values, name="a")
    assert kept_figure(line, values.copy(), name="a") is first
    changed = values.copy()
    changed[2500] += 1e-9
    assert kept_figure(line, changed, name="a") is not first
    assert kept_figure(line, values, name="b") is not first
    assert len(BUILT) == 3


@pytest.mark.parametrize("page", ["study", "why", "separability", "geometry", "scorecard"])
def test_a_rerun_builds_no_figure(page, open_page, smoke_runs, monkeypatch):
    app = open_page(page, smoke_runs)
    drawn = len(app.get("plotly_chart"))
    built: list[go.Figure] = []
    make = go.Figure.__init__

    def counted(self, *given, **named):
        built.append(self)
        make(self, *given, **named)

    monkeypatch.setattr(go.Figure, "__init__", counted)
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == drawn > 0
    assert built == []


def test_the_pairs_and_the_typical_word_are_found_once(open_page, smoke_runs, monkeypatch):
    app = open_page("why", smoke_runs)
    found: list[object] = []
    monkeypatch.setattr("workbench.ui.sections.why.pair_to_read.scores_of", found.append)
    monkeypatch.setattr("workbench.ui.sections.shared.typical_example.typical_place", found.append)
    monkeypatch.setattr("workbench.ui.sections.shared.word_company.nearest_items", found.append)
    app.run()
    assert not app.exception
    assert not app.error
    assert found == []


def test_the_map_answers_a_question_once(open_page, smoke_runs, monkeypatch):
    app = open_page("latent_map", smoke_runs)
    found: list[object] = []
    monkeypatch.setattr("workbench.ui.map.component.nearest_items", found.append)
    app.run()
    assert not app.exception
    assert not app.error
    assert found == []


def test_changed_results_are_read_again(copied_runs):
    run = open_study(copied_runs / "smoke").runs[0]
    before = probe_results(run)
    assert probe_results(run) is before
    file = run.probes_dir / "scale.json"
    document = json.loads(file.read_text())
    document["results"]["scale.log_snr"]["score"] = 123.5
    file.write_text(json.dumps(document))
    assert probe_results(run)["scale.log_snr"]["score"] == 123.5


def test_a_change_of_scores_changes_the_pairs(open_page, copied_runs):
    app = open_page("why", copied_runs)
    score = app.selectbox(key="score").value.removeprefix("generation.")
    kept = options_of_pairs(app)
    for file in copied_runs.glob("smoke/arms/none/seed-0/scores/*.parquet"):
        table = pd.read_parquet(file)
        table.assign(**{score: table[score] + 1.0}).to_parquet(file)
    app.run()
    assert kept
    assert options_of_pairs(app) != kept


def options_of_pairs(app) -> list[str]:
    return next(box.options for box in app.selectbox if box.label.startswith("Prompt"))
