"""A study: done once, resumed after any death, refused when changed, told in JSON and HTML."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_process import start_study, wait_until_free
from training_tasks import checkpoint_bits

from analyses.texts.ladder import RUNGS
from workbench.config import settings
from workbench.errors import InputError
from workbench.machine.progress import PROGRESS
from workbench.pipeline.run_study import run_study
from workbench.pipeline.verify import verify_path
from workbench.report.study_report import write_report
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.store.lock import run_lock
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Study, open_study
from workbench.study.record import create_study

ROOT = Path(__file__).parents[3]
VOLATILE = {PROGRESS, ".lock"}


def start_again(study: Study) -> subprocess.Popen[str]:
    """The study by the command line, from its stored configuration."""
    file = study.directory.parent / "study.yaml"
    file.write_text(json.dumps(settings.to_dict(study.config)))
    return start_study(study.directory, "--config", str(file), "--json")


def wait_for_lines(study: Study, number: int, process: subprocess.Popen[str]) -> None:
    """Return once the study has reported that often."""
    file = study.directory / PROGRESS
    while not file.is_file() or file.read_text().count("\n") < number:
        assert process.poll() is None, f"ended before report {number}: {process.communicate()}"
        time.sleep(0.005)


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Name -> time of change and size of every file that a finished study should leave alone."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in directory.rglob("*")
        if path.is_file() and path.name not in VOLATILE
    }


def assert_same_results(study: Study, known: Study) -> None:
    for run, other in zip(study.runs, known.runs, strict=True):
        for folder in ("vae_dir", "flow_dir"):
            found, expected = (load_latest(getattr(r, folder)) for r in (run, other))
            assert checkpoint_bits(found) == checkpoint_bits(expected)
    first, second = (read_json(s.directory / "comparison.json") for s in (study, known))
    assert first == second


@pytest.mark.long
def test_a_study_killed_again_and_again_ends_the_same(prepared, smoke, context):
    """Ctrl-C while it trains, then the parent killed outright, then run to the end."""
    polite, rude = np.random.default_rng().integers([4, 6], [24, 30])
    process = start_again(prepared)
    wait_for_lines(prepared, polite, process)
    os.killpg(process.pid, signal.SIGINT)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 75, f"after report {polite}: {message}"
    assert message.strip().endswith("run the same command again to go on")
    wait_until_free(prepared.directory)
    (prepared.directory / PROGRESS).unlink()
    process = start_again(prepared)
    wait_for_lines(prepared, rude, process)
    process.kill()
    process.communicate()
    wait_until_free(prepared.directory)
    outcome = run_study(prepared.config, prepared.directory, context)
    assert not outcome.already_done
    assert_same_results(prepared, smoke)
    assert verify_path(prepared.directory).sound


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_whole_study_killed_at_random(seed, smoke, tmp_path):
    study = create_study(smoke.config, tmp_path / "killed")
    rng = np.random.default_rng(seed)
    for _ in range(4):
        process = start_again(study)
        time.sleep(float(rng.uniform(1, 20)))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until_free(study.directory)
    process = start_again(study)
    process.communicate()
    assert process.returncode == 0
    assert_same_results(study, smoke)


def test_a_finished_study_is_left_alone(copy_smoke, context):
    study = copy_smoke()
    before = snapshot(study.directory)
    started = time.monotonic()
    outcome = run_study(study.config, study.directory, context)
    assert outcome.already_done
    assert outcome.comparison == read_json(study.directory / "comparison.json")
    assert snapshot(study.directory) == before
    assert time.monotonic() - started < 60


def test_the_command_says_that_it_was_done(copy_smoke):
    study = copy_smoke()
    before = snapshot(study.directory)
    process = start_again(study)
    answer, message = process.communicate(timeout=120)
    assert (process.returncode, message) == (0, "")
    assert json.loads(answer)["already_done"] is True
    assert snapshot(study.directory) == before


def test_other_settings_are_refused_with_the_differences(copy_smoke, context):
    study = copy_smoke(without=("arms",))
    base = study.config.base
    changed = dataclasses.replace(
        study.config,
        seeds=(0, 1),
        base=dataclasses.replace(base, vae=dataclasses.replace(base.vae, latent_width=4)),
    )
    before = snapshot(study.directory)
    with pytest.raises(InputError) as caught:
        run_study(changed, study.directory, context)
    assert "base.vae.latent_width: 8 -> 4" in str(caught.value)
    assert "seeds: [0] -> [0, 1]" in str(caught.value)
    assert snapshot(study.directory) == before


def test_harmless_settings_may_change(copy_smoke, context):
    study = copy_smoke()
    base = study.config.base
    training = dataclasses.replace(base.vae_training, log_every=3, checkpoint_every=2)
    changed = dataclasses.replace(
        study.config, workers=1, loggers=(), base=dataclasses.replace(base, vae_training=training)
    )
    assert run_study(changed, study.directory, context).already_done
    assert open_study(study.directory).config == changed


def test_a_logger_that_cannot_be_had_is_refused_before_any_compute(smoke_config, tmp_path):
    for name, reason in (("tensorbord", "choose from tensorboard"), ("trackio", "pip install")):
        config = dataclasses.replace(smoke_config, loggers=(name,))
        with pytest.raises(ValueError, match=reason):
            create_study(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_two_processes_do_not_share_a_study(smoke, context):
    with run_lock(smoke.directory), pytest.raises(InputError, match=f"in use by pid {os.getpid()}"):
        run_study(smoke.config, smoke.directory, context)


def test_the_comparison_has_the_agreed_form(smoke):
    text = (smoke.directory / "comparison.json").read_text()
    assert not re.search(r"\b(NaN|Infinity)\b", text)
    comparison = json.loads(text)
    assert set(comparison["arms"]) == {"none", "repa"}
    for metrics in comparison["arms"].values():
        assert {
            "reconstruction.token_accuracy",
            "scale.log_snr",
            "generation.mauve[minilm]",
            "generation.rouge1",
            "generation.fidelity",
            "generation.valid_4gram",
            "generation.nats_per_token",
            "floor.velocity",
        } <= set(metrics)
        assert any(name.startswith("knn_coherence.token.other_id") for name in metrics)
        assert any(name.startswith("linear_separability.") for name in metrics)
        for value in metrics.values():
            assert {"mean", "low", "high", "n", "seeds"} <= set(value)
            assert len(value["seeds"]) in (0, 1)
            if value["low"] is not None:
                assert value["low"] <= value["mean"] <= value["high"]
    for row in comparison["contrasts"]:
        assert {"a", "b", "metric", "difference", "low", "high"} <= set(row)
        assert (row["a"], row["b"]) == ("repa", "none")
        first, second = (comparison["arms"][arm][row["metric"]]["mean"] for arm in ("repa", "none"))
        if None not in (first, second):
            assert row["difference"] == pytest.approx(first - second, abs=1e-6)
    assert comparison["paired"] == {"data_order": True, "init": True, "noise": True}
    for name in RUNGS:
        assert "generation.rouge1" in comparison["baselines"][name]


def test_every_score_has_its_place_on_the_ladder(smoke):
    comparison = read_json(smoke.directory / "comparison.json")
    human = comparison["baselines"]["human"]
    for metric in ("grammar_sentences", "grammar_texts", "tense_agreement"):
        assert human[f"generation.{metric}"]["mean"] in (1.0, None)
    damaged = [comparison["baselines"][rung]["generation.grammar_sentences"]["mean"]
               for rung in ("human", "swap_10", "swap_30", "shuffled_words")]  # fmt: skip
    assert damaged == sorted(damaged, reverse=True)
    scores = {name for name in comparison["arms"]["none"] if name.startswith("generation.")}
    assert scores - set(human) == {"generation.ended"}
    for name in ("c2st[minilm]", "energy[minilm]", "mauve[minilm]", "grammar_sentences"):
        assert f"generation.{name}" in scores
        assert any(row["metric"] == f"generation.{name}" for row in comparison["contrasts"])
    assert comparison["arms"]["none"]["generation.c2st[minilm]"]["chance"] == 0.5
    report = (smoke.directory / "report.html").read_text()
    assert "a ladder of known damage" in report
    assert "not ready to be compared" in report  # after a few steps nothing is read back
    assert "attend to its prompt" in report


def test_what_a_study_leaves_on_disk(smoke):
    described = read_json(smoke.directory / "study.json")
    assert described["fingerprint"] == settings.fingerprint(smoke.config)
    assert described["pairing"]["none/seed-0"] == described["pairing"]["repa/seed-0"]
    assert set(described["versions"]) >= {"torch", "transformers"}
    card = pd.read_parquet(smoke.directory / "scorecard.parquet")
    assert list(card["arm"]) == ["none", "repa"]
    assert card["reconstruction.token_accuracy"].notna().all()
    for run in smoke.runs:
        assert list((run.directory / "tensorboard").glob("events*"))
        records = read_metrics(run.directory / "metrics.jsonl")
        flow = [record for record in records if record["stage"] == "flow"]
        assert flow
        assert all(r["floor_given_mu"] < r["floor_gaussian"] for r in flow)
        for record in flow:
            band = record["floor_gaussian"] - record["floor_given_mu"]
            expected = (record["loss"] - record["floor_given_mu"]) / band
            assert record["band_fraction"] == pytest.approx(expected, rel=1e-4)


class Loads(HTMLParser):
    """Every address that a page would fetch, and its text outside of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")
        ]


def test_the_report_stands_alone(smoke):
    page = (smoke.directory / "report.html").read_text(encoding="utf-8")
    loads = Loads()
    loads.feed(page)
    assert loads.addresses == []
    assert not {"link", "iframe", "img", "object"} & set(loads.tags)
    styles = "".join(re.findall(r"<style>.*?</style>", page, flags=re.S))
    assert "url(" not in styles
    assert "@import" not in styles
    for title in ("Samples side by side", "Every contrast", "Flow loss against its floors"):
        assert title in page
    planted = Loads()
    planted.feed(page.replace("</head>", '<script src="https://x.org/a.js"></script></head>'))
    assert planted.addresses == ["https://x.org/a.js"]


def test_hostile_text_is_shown_as_text(copy_smoke):
    study = copy_smoke()
    attack = "<script>alert('taken')</script><img src=x onerror=alert(1)>"
    for run in study.runs:
        for file in run.samples_dir.glob("*.parquet"):
            frame = pd.read_parquet(file)
            frame[["prompt", "reference", "continuation"]] = attack
            frame.to_parquet(file, index=False)
    page = write_report(study).read_text(encoding="utf-8")
    assert "alert('taken')" not in page
    assert "&lt;script&gt;alert(&#39;taken&#39;)&lt;/script&gt;&lt;img" in page
