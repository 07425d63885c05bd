"""Single stages: skipped when done, begun again only when told, watched without being disturbed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from training_tasks import bits, build_task, checkpoint_bits, run_fit, small_training

from data.corpus_store import Corpus
from workbench.errors import DamagedArtefactError, InputError
from workbench.machine.context import StageContext
from workbench.machine.loggers import LOGGERS, TensorBoardLogger, open_loggers
from workbench.machine.progress import Silent, ToFile, track
from workbench.report.arm_metrics import headline_scale
from workbench.report.compare import compare_runs
from workbench.sample.previews import SampleWriter
from workbench.store.checkpoints import load_latest
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Study, find_run, find_study
from workbench.train.flow import train_flow
from workbench.train.vae import train_vae


class Watcher:
    """A reporter and a logger that keep everything."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.updates: list[tuple[str, int, int]] = []
        self.texts: list[tuple[str, int, str, str]] = []
        self.numbers: list[tuple[str, int]] = []

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        self.updates.append((stage, done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        self.numbers.append((stage, step))

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        self.texts.append((stage, step, name, text))

    def close(self) -> None:
        pass


def test_a_finished_stage_trains_nothing(
    smoke: Study, corpus: Corpus, context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    for module in ("vae", "flow"):
        monkeypatch.setattr(f"workbench.train.{module}.fit", refuse)
    run = smoke.run("repa", 0)
    train_vae(run, context)
    train_flow(run, context)


def test_damage_stops_and_only_a_restart_goes_on(
    copy_smoke: Callable[..., Study], corpus: Corpus, context: StageContext
) -> None:
    run = copy_smoke().run("none", 0)
    before = checkpoint_bits(load_latest(run.vae_dir))
    weights = run.vae_dir / "step-8" / "model.safetensors"
    damaged = weights.read_bytes()[:-1]
    weights.write_bytes(damaged)
    with pytest.raises(DamagedArtefactError, match=r"truncated.*--restart, which keeps"):
        train_vae(run, context)
    train_vae(run, dataclasses.replace(context, restart=True))
    assert checkpoint_bits(load_latest(run.vae_dir)) == before
    kept = run.vae_dir / "damaged-1-step-8" / "model.safetensors"
    assert kept.read_bytes() == damaged


def test_records_of_steps_done_again_stand_once(
    prepared: Study, corpus: Corpus, context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from short_training import StopAfter

    from workbench.errors import StopRequested

    run = prepared.run("none", 0)
    training = dataclasses.replace(run.config.vae_training, log_every=1)
    run.__dict__["config"] = dataclasses.replace(run.config, vae_training=training)
    with pytest.raises(StopRequested):
        train_vae(run, dataclasses.replace(context, stop=StopAfter(5)))
    log = run.directory / "metrics.jsonl"
    with log.open("a") as file:
        file.write(json.dumps({"stage": "vae", "step": 7, "loss": -1.0}) + "\n")
    watcher = Watcher()
    reads: list[str] = []

    def count(directory: Path, **options: Any) -> Any:
        reads.append(f"{len(watcher.numbers)} records seen")
        return load_latest(directory, **options)

    monkeypatch.setattr("workbench.train.saving.load_latest", count)
    train_vae(run, dataclasses.replace(context, reporter=watcher, loggers=(watcher,)))
    assert reads == ["0 records seen", "3 records seen"], "to resume, and to hand the model back"
    records = read_metrics(log)
    # The record of step 5 was never written: the stop came between the save and the log.
    assert [record["step"] for record in records] == [1, 2, 3, 4, 6, 7, 8]
    assert all(record["loss"] > 0 for record in records)
    assert watcher.numbers == [("vae", 6), ("vae", 7), ("vae", 8)]
    assert watcher.updates[-1] == ("vae", 8, 8)


def test_samples_are_shown_and_disturb_nothing(
    smoke: Study, corpus: Corpus, context: StageContext, tmp_path: Path
) -> None:
    watcher = Watcher()
    run = smoke.run("repa", 0)
    watched = dataclasses.replace(context, reporter=watcher, loggers=(watcher,))
    writer = SampleWriter(run, watched)
    config = small_training(checkpoint_every=2)
    run_fit(build_task("flow", smoke, corpus), config, tmp_path / "with", hooks=writer)
    run_fit(build_task("flow", smoke, corpus), config, tmp_path / "without")
    assert checkpoint_bits(load_latest(tmp_path / "with")) == checkpoint_bits(
        load_latest(tmp_path / "without")
    )
    assert [(stage, step, name) for stage, step, name, _ in watcher.texts] == [
        ("flow", step, f"sample {number}") for step in (2, 4) for number in (1, 2, 3)
    ]
    assert [note.split(":")[0] for note in watcher.notes] == ["flow step 2", "flow step 4"]
    prompts = corpus.split("valid").texts(np.arange(1))
    assert watcher.texts[0][3].removeprefix("...").split(" | ")[0][:20] in prompts[0].lower()


def test_progress_on_disk_is_strict_json(tmp_path: Path) -> None:
    watcher = Watcher()
    reporter = ToFile(tmp_path / "progress.jsonl", watcher)
    reporter.update("vae", 3, 8, {"loss": 1.5, "bad": float("nan"), "worse": float("inf")})
    reporter.note("a line")
    records = [json.loads(x) for x in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert records[0]["info"] == {"loss": 1.5}
    assert (records[0]["stage"], records[0]["done"], records[0]["total"]) == ("vae", 3, 8)
    assert records[1]["note"] == "a line"
    assert watcher.updates == [("vae", 3, 8)]
    assert watcher.notes == ["a line"]


def test_progress_that_cannot_be_written_is_reported_and_goes_on(tmp_path: Path) -> None:
    watcher = Watcher()
    reporter = ToFile(tmp_path / "nowhere" / "progress.jsonl", watcher)
    reporter.update("vae", 1, 8, {})
    assert watcher.updates == [("vae", 1, 8)]
    assert "progress not written" in watcher.notes[0]


def test_tracking_reports_the_end() -> None:
    watcher = Watcher()
    assert list(track(range(5), "work", 5, watcher, every=60)) == list(range(5))
    assert watcher.updates == [("work", 0, 5), ("work", 1, 5), ("work", 5, 5)]
    assert list(track([], "work", 0, Silent())) == []


def test_tensorboard_holds_numbers_and_text(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (logger,) = open_loggers(("tensorboard",), tmp_path, "study", {})
    assert isinstance(logger, TensorBoardLogger)
    logger.scalars("vae", 3, {"loss": 1.5})
    logger.text("flow", 4, "sample 1", "<b>hello</b>\nthere")
    logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("vae/loss")] == [(3, 1.5)]
    (text,) = events.Tensors("flow/sample 1/text_summary")
    assert text.tensor_proto.string_val == [b"    <b>hello</b>\n    there"]
    assert set(LOGGERS) == {"tensorboard", "wandb", "trackio"}


def test_runs_are_found_by_path_and_by_name(smoke: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(smoke.directory.parent))
    wanted = smoke.run("repa", 0).directory
    for name in ("smoke/repa/0", "smoke/repa/seed-0", "smoke/repa", str(wanted)):
        assert find_run(name).directory == wanted
    assert find_study("smoke").directory == smoke.directory
    for name, reason in (
        ("smoke/repo/0", "no run repo/seed-0; it has none/seed-0, repa/seed-0"),
        ("smoke/repa/7", "no run repa/seed-7"),
        ("smoke", "names no run"),
        ("smokes/repa/0", "no study here"),
    ):
        with pytest.raises(InputError, match=reason):
            find_run(name)


def test_the_same_arm_and_seed_of_two_studies_is_compared(
    smoke: Study, copy_smoke: Callable[..., Study]
) -> None:
    """Both are called `none/seed-0`; the copy's scores are one more each."""
    other = copy_smoke()
    run = other.run("none", 0)
    file = run.scores_dir / f"{headline_scale(run)}.parquet"
    scores = pd.read_parquet(file)
    scores["nats_per_token"] += 1.0
    scores.to_parquet(file, index=False)
    rows = {row["metric"]: row for row in compare_runs(run, smoke.run("none", 0))}
    assert rows["generation.nats_per_token"]["difference"] == pytest.approx(1.0)
    assert rows["generation.valid_4gram"]["difference"] == 0.0


def test_runs_of_another_judge_are_not_compared(
    smoke: Study, copy_smoke: Callable[..., Study]
) -> None:
    base = smoke.config.base
    judge = dataclasses.replace(base.language_model, width=64)
    other = copy_smoke()
    config = dataclasses.replace(other.config, base=dataclasses.replace(base, language_model=judge))
    judged = Study(other.directory, config)
    with pytest.raises(InputError, match=r"what scores their texts differs \(language_model.width"):
        compare_runs(smoke.run("repa", 0), judged.run("none", 0))


def test_runs_asked_other_prompts_are_not_compared(
    smoke: Study, copy_smoke: Callable[..., Study]
) -> None:
    rows = compare_runs(smoke.run("repa", 0), smoke.run("none", 0))
    stored = json.loads((smoke.directory / "comparison.json").read_text())["contrasts"]
    assert [row["metric"] for row in rows] == [row["metric"] for row in stored]
    assert bits([r["difference"] for r in rows]) == bits([r["difference"] for r in stored])
    other = copy_smoke()
    manifest = other.references_dir / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace(
            json.loads(manifest.read_text())["meta"]["fingerprint"], "0" * 12
        )
    )
    with pytest.raises((InputError, DamagedArtefactError)):
        compare_runs(smoke.run("repa", 0), other.run("none", 0))
