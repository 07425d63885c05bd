"""Runs: the table of what is on disk, and the records of trainings."""

from __future__ import annotations

import json

import pandas as pd

from analyses.figures.training_log import parts_figure

ARMS = ("none", "repa")


def drawn(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def test_table_has_dates_minutes_scores_and_a_link(open_page, copied_runs):
    lines = [json.dumps({"time": seconds, "stage": "vae"}) for seconds in (0.0, 50.0, 90.0)]
    (copied_runs / "smoke" / "progress.jsonl").write_text("\n".join(lines))
    app = open_page("runs", copied_runs)
    assert not app.exception
    table = app.dataframe[0].value.set_index("name")
    study = table.loc["smoke"]
    assert study["open"] == "/?study=smoke"
    assert study["minutes"] == 1.5
    comparison = json.loads((copied_runs / "smoke" / "comparison.json").read_text())
    scores = comparison["arms"]["repa"]["reconstruction.token_accuracy"]["seeds"]
    run = table.loc["smoke/arms/repa/seed-0"]
    assert run["open"] == "/?study=smoke&a=repa&seed=0"
    assert abs(run["read back, share of tokens ↑"] - scores[0]) < 1e-4
    assert str(run["last change"]) > "2020"


def test_damaged_comparison_leaves_the_table_without_scores(open_page, copied_runs):
    (copied_runs / "smoke" / "comparison.json").write_text("{")
    app = open_page("runs", copied_runs)
    assert not app.exception
    assert not app.error
    assert "read back, share of tokens ↑" not in app.dataframe[0].value


def test_logs_hold_the_loss_against_its_floors_and_the_gradients_shares(open_page, smoke_runs):
    app = open_page("runs", smoke_runs, section="Logs")
    assert not app.exception
    names = {trace["name"] for trace in drawn(app)[0]["data"]}
    assert {"reconstruction", "alignment"} <= names
    app.segmented_control(key="stage").set_value("flow").run()
    names = {trace["name"] for trace in drawn(app)[0]["data"]}
    assert names == {"loss", "knows the covariance", "knows every mean"}


def test_an_arm_alone_gets_its_panel():
    table = pd.DataFrame(
        {"arm": ["none", "none", "repa", "repa"], "step": [1, 2, 1, 2],
         "share": [None, None, 0.1, 0.2], "floor": [None, None, 1.0, None]}
    )  # fmt: skip
    parts = {"share": "share", "floor": "floor", "absent": "nowhere"}
    figure = parts_figure(table, parts, arms=ARMS, theme="light")
    assert [note.text for note in figure.layout.annotations] == ["repa"]
    assert {trace.name: list(trace.x) for trace in figure.data} == {"share": [1, 2], "floor": [1]}
