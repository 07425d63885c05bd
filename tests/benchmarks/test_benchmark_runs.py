"""A run of all benchmarks ends on a slow machine, says what it left out, and its gates bite."""

import os
import time

import numpy as np
import pytest
import torch

from benchmarks import running
from benchmarks.app_pages import HEADLESS, STREAMLIT, served
from benchmarks.catalog import BENCHMARKS
from benchmarks.growth import growth_of_texts
from benchmarks.measuring import NotRun, Setting, compare, growth_of, repeating
from benchmarks.on_gpus import STAGES, on_gpus
from benchmarks.processes import environment, used_by
from benchmarks.reports import save
from benchmarks.running import FAILED, as_record, measure
from benchmarks.sampling_quality import within
from benchmarks.umap_maps import clusters, trust
from benchmarks.writing import equal_greedily, generate, two_gpt2s, write

VOCABULARY, WINDOW = 60, 40


def prompts() -> torch.Tensor:
    return torch.randint(1, VOCABULARY, (3, 6), generator=torch.Generator().manual_seed(0))


def test_repeats_end_with_the_budget_but_not_before_the_fewest():
    assert list(repeating(10, fewest=3, budget_s=0.0)) == [0, 1, 2]
    assert len(list(repeating(10, fewest=3, budget_s=60.0))) == 10
    ratio = compare(lambda: time.sleep(0.001), lambda: None, repeats=7)
    assert ratio.repeats == 7


def test_processor_time_may_be_that_of_another_process():
    ticks = iter(range(100))
    ratio = compare(lambda: None, lambda: next(ticks), repeats=3, clock=lambda: float(next(ticks)))
    assert ratio.cpu == 2.0  # the peer's call takes a tick of its own
    assert used_by(os.getpid()) == pytest.approx(sum(os.times()[:4]), abs=2.0)
    assert used_by(2**31 - 1) == 0.0


def test_what_was_not_run_is_said_in_the_table(tmp_path):
    found = NotRun(stage="a step", peer="nanoGPT", goal=1.15, reason="no device")
    save([{**as_record(found), "benchmark": "gpu", "threads": 1, "load": 0.1}], tmp_path)
    table = (tmp_path / "README.md").read_text().splitlines()
    head = next(line for line in table if line.startswith("| stage | threads"))
    line = next(line for line in table if line.startswith("| a step |"))
    cells, names = ([cell.strip() for cell in text.split("|")] for text in (line, head))
    assert len(cells) == len(names)
    row = dict(zip(names, cells, strict=True))
    assert (row["ratio"], row["goal"], row["gate"]) == ("not run", "1.15", "no device")


def test_gpu_stages_are_listed_without_a_device(tmp_path):
    found = list(on_gpus(Setting(directory=tmp_path)))
    assert [row.stage for row in found] == [stage for stage, _, _ in STAGES]
    assert torch.cuda.is_available() or {row.reason for row in found} == {"no device"}


@pytest.mark.long
def test_a_benchmark_that_fails_or_lacks_cores_leaves_the_others_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "available_cores", lambda: 1)
    names = ("cached_latents", "on_gpus")
    records = [r for found in measure(names, tmp_path, quick=True, threads=()) for r in found]
    assert records[0]["reason"].startswith(FAILED)
    assert "study.json" in records[0]["reason"]
    assert [r["benchmark"] for r in records[1:]] == ["on_gpus"] * len(STAGES)
    two = list(measure(["guidance"], tmp_path, quick=True, threads=(2,)))
    assert two[0][0]["reason"] == "needs 2 cores, this process may use 1"
    assert BENCHMARKS["guidance"].threads == (1, 2)


def test_both_gpt2s_write_the_same_and_never_end_early():
    own, theirs = two_gpt2s(VOCABULARY, WINDOW)
    assert equal_greedily(own, theirs, prompts())
    count = WINDOW - prompts().shape[1]
    for texts in (write(own, prompts()), generate(theirs, prompts(), count)):
        assert texts.shape == (3, WINDOW)
        assert (texts != 0).all()
    with torch.no_grad():
        own.h[0].attn.c_proj.weight.neg_()
        own.h[1].mlp.c_proj.weight.add_(0.05)
    assert not equal_greedily(own, theirs, prompts())


def test_a_mean_above_the_peers_interval_fails_the_gate():
    peers = np.random.default_rng(0).normal(1.3, 0.3, 200)
    assert within(peers + 0.01, peers)[1]
    words, passed = within(peers + 0.1, peers)
    assert not passed
    assert words.startswith("nats per token 1.4")


def test_a_map_that_mixes_points_up_is_trusted_less():
    rows = clusters(300)
    good = rows[:, :2] * 0 + np.linalg.svd(rows - rows.mean(0), full_matrices=False)[0][:, :2]
    mixed = good[np.random.default_rng(0).permutation(300)]
    assert trust(rows, good) - trust(rows, mixed) > 0.05


def test_the_client_waits_for_the_script_counts_bytes_and_raises_its_error(tmp_path):
    script = tmp_path / "page.py"
    script.write_text(
        "import streamlit as st\n"
        "st.write('x' * 50_000)\n"
        "if st.query_params.get('find'):\n"
        "    raise ValueError('not found')\n"
    )
    with served((*STREAMLIT, "run", str(script), *HEADLESS), environment()) as client:
        client.rerun("")
        assert 50_000 < client.largest < 60_000
        assert client.server_seconds() > 0.1
        with pytest.raises(RuntimeError, match="encountered an error"):
            client.rerun("find=word")


@pytest.mark.long
def test_growth_of_texts_is_measured_in_fresh_processes_with_their_memory(tmp_path):
    (found,) = growth_of_texts(Setting(directory=tmp_path, quick=True))
    assert found.sizes == (200, 400)
    assert found.megabytes is not None
    assert len(found.megabytes) == 2
    assert max(found.megabytes) < 200  # beside a process that prepares a hundred texts
    save([{**as_record(found), "benchmark": "growth", "threads": 1, "load": 0.1}], tmp_path)
    assert "| prepare a corpus | texts |" in (tmp_path / "README.md").read_text()


def test_growth_is_the_slope_in_logarithms():
    table = [[0.1, 1.0, 100.0], [0.3, 3.0, 300.0], [0.2, 2.0, 200.0]]
    found = growth_of("a stage", "rows", (10, 100, 1000), table, (1.0, 2.0, 3.0))
    assert found.seconds == (0.2, 2.0, 200.0)
    assert (found.lows[1], found.highs[1]) == (1.0, 3.0)
    assert found.exponent == pytest.approx(1.5)
    assert found.last_exponent == pytest.approx(2.0)
    assert found.megabytes == (1.0, 2.0, 3.0)
