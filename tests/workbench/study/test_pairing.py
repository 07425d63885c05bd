"""Twins are twins: equal hashes within a seed, other hashes for another, and no hidden teacher."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.batches import BatchConfig, BatchPlan
from data.corpus_store import Corpus
from models.text_vae import TextVAE
from workbench.config.arms import STANDARD_ARMS
from workbench.config.study import StudyConfig
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.pipeline.run_stage import run_stage
from workbench.store.checkpoints import load_latest
from workbench.study.folders import Run, Study
from workbench.study.pairing import compare_pairing, digest_noise, digest_weights
from workbench.study.record import create_study
from workbench.train import vae as vae_stage
from workbench.train.teacher_states import TeacherStates
from workbench.train.vae import build_vae, teacher_width, train_vae, vae_config


def pairing(study: Study, arm: str) -> dict[str, str]:
    return study.run(arm, 0).describe()["pairing"]


def test_twins_share_weights_order_and_noise(smoke: Study) -> None:
    none, repa = pairing(smoke, "none"), pairing(smoke, "repa")
    assert none == repa
    assert set(none) == {
        f"{kind}.{stage}" for kind in ("init", "data_order", "noise") for stage in ("vae", "flow")
    }
    assert len(set(none.values())) == len(none)
    assert compare_pairing({"none": none, "repa": repa}) == {
        "init": True,
        "data_order": True,
        "noise": True,
    }


@pytest.mark.parametrize("kind", ["init", "data_order", "noise"])
def test_a_twin_that_differs_is_found(kind: str, smoke: Study) -> None:
    none = pairing(smoke, "none")
    for other in ({**none, f"{kind}.flow": "0"}, {k: v for k, v in none.items() if kind not in k}):
        verdict = compare_pairing({"none": none, "repa": other})
        assert verdict == {"init": True, "data_order": True, "noise": True, kind: False}


def test_the_stored_hashes_are_those_of_the_seed(
    smoke: Study, corpus: Corpus, context: StageContext
) -> None:
    run = smoke.run("none", 0)
    sizes = vae_config(run.config, corpus, teacher_width(smoke, run.config))
    plans = [
        BatchPlan(corpus.split("train").lengths, corpus.window, BatchConfig(batch_size=8), seed)
        for seed in (0, 1)
    ]
    steps = run.config.vae_training.num_steps
    known = pairing(smoke, "none")
    for seed, same in ((0, True), (1, False)):
        made = {
            "init.vae": digest_weights(build_vae(sizes, seed, context.place)),
            "data_order.vae": plans[seed].order_hash(steps)[:16],
            "noise.vae": digest_noise(seed, "vae", steps),
        }
        assert [known[key] == value for key, value in made.items()] == [same] * 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("corpus.num_documents", 100),
        ("seed", 3),
        ("sampling.num_prompts", 5),
        ("evaluation.mauve_seeds", 1),
        ("device", "cpu"),
    ],
)
def test_an_arm_may_not_change_what_all_share(
    key: str, value: Any, smoke_config: StudyConfig, tmp_path: Path
) -> None:
    arms = {**smoke_config.arms, "odd": {key: value}}
    config = dataclasses.replace(smoke_config, arms=arms)
    with pytest.raises(
        InputError, match=rf"arm 'odd' overrides {key}: the arms of a study must share"
    ):
        create_study(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_permuted_states_are_those_of_other_texts(smoke: Study, corpus: Corpus) -> None:
    run, split = smoke.run("repa", 0), corpus.split("train")
    directory, rows = smoke.teacher_dir(run.config), np.arange(len(split))
    permuted = dataclasses.replace(run.config.teacher, permuted=True)
    own_states = TeacherStates(directory, "train", split, run.config.teacher)
    other_states = TeacherStates(directory, "train", split, permuted)
    own, own_valid = own_states.gather(rows, corpus.window)
    other, other_valid = other_states.gather(rows, corpus.window)
    source = other_states._source
    assert sorted(source) == list(rows)
    assert not np.any(source == rows)
    for row in rows[:20]:
        covered = other_valid[row]
        assert torch.equal(other[row][covered], own[source[row]][covered])
        assert not torch.equal(other[row][covered], own[row][covered])
    for states, valid in ((own, own_valid), (other, other_valid)):
        kept = states[valid]
        assert kept.mean(0).abs().mean() < 0.05
        assert (kept.std(0) - 1).abs().mean() < 0.05


def test_a_run_without_alignment_never_reads_teacher_states(
    prepared: Study, smoke: Study, corpus: Corpus, context: StageContext
) -> None:
    for folder in prepared.directory.glob("teacher/*"):
        for file in folder.iterdir():
            if file.name != "report.json":  # the width: twins have projectors of one size
                file.unlink()
    vae = train_vae(prepared.run("none", 0), context)
    known = load_latest(smoke.run("none", 0).vae_dir, model_only=True)
    assert known is not None
    assert digest_weights(vae, without=()) == _digest(known.model, vae)


def _digest(weights: dict[str, torch.Tensor], like: TextVAE) -> str:
    copy = TextVAE(like.config)
    copy.load_state_dict(weights)
    return digest_weights(copy, without=())


def test_a_study_without_alignment_needs_no_teacher(
    prepared: Study, smoke: Study, context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(prepared.directory / "teacher")
    alone = dataclasses.replace(prepared.config, arms={"none": dict(STANDARD_ARMS["none"])})
    study = Study(prepared.directory, alone)

    def refuse(*_: Any) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr("workbench.train.teacher_states._load_teacher", refuse)
    monkeypatch.setattr(vae_stage, "read_states", refuse)
    run_stage(study.run("none", 0), "vae", context)
    assert not (prepared.directory / "teacher").exists()
    assert pairing(study, "none")["init.vae"] == pairing(smoke, "none")["init.vae"]


def test_the_twin_with_alignment_does_load_one(
    prepared: Study, context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(prepared.directory / "teacher")
    called: list[Run] = []
    original: Callable[..., Any] = vae_stage.read_states

    def note(*arguments: Any) -> Any:
        called.append(arguments[0])
        return original(*arguments)

    monkeypatch.setattr(vae_stage, "read_states", note)
    run_stage(prepared.run("repa", 0), "vae", context)
    assert len(called) == 1
    assert (prepared.directory / "teacher").is_dir()
