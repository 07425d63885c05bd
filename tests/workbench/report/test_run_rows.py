"""Runs of a scorecard written to one file, read back, and laid beside others."""

import json

import numpy as np
import pandas as pd
import pytest
from test_probe_scorecard import FAST, finished

from workbench.cli.main import main
from workbench.errors import InputError
from workbench.report.run_rows import joined, read_runs, write_runs
from workbench.report.scorecard import make_scorecard, run_table


def same(a, b):
    assert (a.arms, a.families, a.seeds) == (b.arms, b.families, b.seeds)
    for kind in ("probes", "scores", "baselines"):
        ours, theirs = getattr(a, kind), getattr(b, kind)
        assert list(ours) == list(theirs)
        for name, column in ours.items():
            np.testing.assert_array_equal(column, theirs[name])
            assert a.higher_is_better[name] == b.higher_is_better[name]


def test_what_is_read_is_what_was_written(tmp_path):
    table, file = run_table([finished(tmp_path, "one")]), tmp_path / "runs.parquet"
    write_runs(table, file)
    read = read_runs(file)
    same(read, table)
    first = make_scorecard(table, tmp_path / "a.json", FAST)
    assert make_scorecard(read, tmp_path / "b.json", FAST) == first
    assert json.loads((tmp_path / "b.json").read_text())["studies"] == ["one"]


def test_a_file_lies_beside_a_study_and_the_runs_of_one_need_not_be_there(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "here"))
    monkeypatch.setattr("analyses.scorecard.predictors.ScorecardConfig", lambda: FAST)
    file = str(tmp_path / "runs.parquet")
    finished(tmp_path / "there", "one")
    finished(tmp_path / "here", "two", seed=1)
    assert main(["scorecard", str(tmp_path / "there" / "one"), "--runs", file, "--quiet"]) == 0
    assert main(["scorecard", "two", file, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert {row["arms"] for row in shown if row["predictor"] == "knn_coherence.token.pos"} == {"12"}
    stored = json.loads((tmp_path / "here" / "scorecard.json").read_text())
    assert stored["studies"] == ["two", "one"]
    assert main(["scorecard", file, file, "--quiet"]) == 2
    assert "has seed 0 twice" in capsys.readouterr().err


def test_seeds_of_one_arm_may_come_in_several_files(tmp_path):
    table, file = run_table([finished(tmp_path, "one")]), tmp_path / "runs.parquet"
    write_runs(table, file)
    frame = pd.read_parquet(file)
    parts = []
    for seed in (0, 1):
        part = tmp_path / f"{seed}.parquet"
        frame[frame["seed"] == seed].to_parquet(part, index=False)
        parts.append(read_runs(part))
    both = joined(parts)
    assert sorted(zip(both.arms, both.seeds, strict=True)) == sorted(
        zip(table.arms, table.seeds, strict=True)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns="seed"), "has no column 'seed'"),
        (lambda frame: frame.iloc[:0], "is empty"),
        (lambda frame: frame.assign(kind="probes"), "kind must be one of probe, score, baseline"),
        (lambda frame: pd.concat([frame, frame[:1]]), "stands twice for one run"),
        (lambda frame: frame.assign(value=np.inf), "is infinite in run"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, spoil, message):
    file = tmp_path / "runs.parquet"
    write_runs(run_table([finished(tmp_path, "one")]), file)
    spoil(pd.read_parquet(file)).to_parquet(file, index=False)
    with pytest.raises(InputError, match=message):
        read_runs(file)


def test_a_file_that_is_no_parquet_or_not_there_is_refused(tmp_path):
    file = tmp_path / "runs.parquet"
    with pytest.raises(InputError, match="there is no such file"):
        read_runs(file)
    file.write_text("arm,family\n")
    with pytest.raises(InputError, match="no Parquet file that can be read"):
        read_runs(file)


def test_tables_that_contradict_each_other_are_refused(tmp_path):
    file = tmp_path / "runs.parquet"
    one = run_table([finished(tmp_path, "one")])
    write_runs(run_table([finished(tmp_path, "two")]), file)
    frame = pd.read_parquet(file)
    nats = frame["metric"] == "generation.nats_per_token"
    frame.assign(higher_is_better=frame["higher_is_better"] ^ nats).to_parquet(file, index=False)
    with pytest.raises(InputError, match=r"nats_per_token: .* which end is the better"):
        joined([one, read_runs(file)])
    frame[frame["kind"] != "score"].to_parquet(file, index=False)
    with pytest.raises(InputError, match="share no generation score"):
        joined([one, read_runs(file)])
