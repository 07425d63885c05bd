"""Which way a ratio points, what counts as met, and what a repeated run replaces."""

import dataclasses
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from benchmarks.catalog import BENCHMARKS, chosen
from benchmarks.measuring import Row, compare, costs_of, median_interval, ratio_of
from benchmarks.neighbors_exact import recall_at
from benchmarks.reports import save
from benchmarks.running import as_record, is_met
from benchmarks.startup import heavy_imports


def record(ours: float, peers: float, *, name: str = "a", passed: bool = True) -> dict[str, Any]:
    row = Row(
        stage=f"stage of {name}",
        peer="peer",
        ratio=ratio_of([ours], [peers]),
        goal=2.0,
        gate="equal",
        gate_passed=passed,
    )
    return {**as_record(row), "benchmark": name, "threads": 1, "load": 0.5}


def test_a_ratio_above_one_means_that_we_are_cheaper():
    ratio = ratio_of([1.0, 1.0, 2.0], [3.0, 4.0, 10.0])
    assert ratio.median == 4.0
    assert ratio.low <= ratio.median <= ratio.high
    assert (record(1.0, 3.0)["goal_met"], record(1.0, 1.9)["goal_met"]) == (True, False)


def test_a_goal_is_met_by_wall_and_by_processor_time():
    ratio = ratio_of([1.0], [3.0])
    assert is_met(ratio, 2.0)
    assert is_met(dataclasses.replace(ratio, cpu=2.1), 2.0)
    assert not is_met(dataclasses.replace(ratio, cpu=1.9), 2.0)
    assert not is_met(dataclasses.replace(ratio, cpu=9.0), 4.0)
    assert record(1.0, 3.0, passed=False)["goal_met"] is False


def test_repeats_are_interleaved_in_alternating_order():
    calls: list[str] = []
    compare(lambda: calls.append("o"), lambda: calls.append("p"), repeats=3, warm_up=1)
    assert "".join(calls) == "op" + "op" + "po" + "op"


def test_processor_time_stands_beside_wall_time():
    """Waiting costs time but no processor; children count too."""

    def waits() -> None:
        time.sleep(0.5)
        computes()

    def computes() -> None:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass

    ratio = compare(computes, waits, repeats=3, warm_up=0)
    assert ratio.cpu == pytest.approx(1.0, rel=0.5)
    child = [sys.executable, "-c", "sum(range(10**6))"]
    assert costs_of(lambda: subprocess.run(child, check=True))[1] > 0.01


def test_the_interval_of_a_median_holds_it_and_narrows():
    values = np.random.default_rng(0).normal(5.0, 1.0, size=200)
    few, many = median_interval(values[:10]), median_interval(values)
    assert many[0] < 5.0 < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_a_repeated_benchmark_replaces_its_rows_and_no_others(tmp_path):
    save([record(1.0, 3.0, name="a"), record(1.0, 3.0, name="b")], tmp_path)
    path = save([record(1.0, 5.0, name="a", passed=False)], tmp_path)
    rows = json.loads(path.read_text())["rows"]
    assert {row["benchmark"]: row["ratio"] for row in rows} == {"a": 5.0, "b": 3.0}
    assert {"stage", "peer", "ratio", "low", "high", "goal", "gate", "gate_passed"} <= set(rows[0])
    table = (tmp_path / "README.md").read_text()
    assert "| stage of a | 1 | peer | 5 |" in table
    assert "**failed**: equal" in table


def test_recall_notices_a_wrong_neighbour():
    features = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    distances = np.square(features[:, None] - features[None]).sum(-1)
    found = np.argsort(distances, axis=1)[:, 1:11]
    assert recall_at(found, features) == 1.0
    found[:, -1] = np.argsort(distances, axis=1)[:, -1]
    assert recall_at(found, features) == pytest.approx(0.9)


def test_heavy_imports_of_a_command_are_found():
    assert heavy_imports(["--help"]) == []
    assert heavy_imports(["doctor", "--quiet"])[0] == "torch"


def test_an_unknown_benchmark_is_named_with_the_choices():
    assert chosen("") == list(BENCHMARKS)
    with pytest.raises(ValueError, match="no benchmark 'nope'; choose from vae_step"):
        chosen("vae_step,nope")
