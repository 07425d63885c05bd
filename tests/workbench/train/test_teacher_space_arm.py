"""A reference arm in its teacher's own space: trained, written, compared, and never a twin."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from finishing import finish_with_two_probes
from tiny_pretrained import LAYERS, save_tiny_bert

from workbench.config.arms import STANDARD_ARMS, standard_arms
from workbench.config.study import StudyConfig
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.report.compare import compare_runs
from workbench.report.markdown_tables import study_tables
from workbench.store.json_files import read_json
from workbench.study.folders import Run, Study
from workbench.study.pairing import NO_TWIN
from workbench.study.record import create_study
from workbench.train.teacher_states import prepare_teacher
from workbench.train.vae import load_vae, untrained_vae, vae_fingerprint

ARM = "teacher-reference"


def with_reference(config: StudyConfig, **overrides: object) -> StudyConfig:
    arms = standard_arms(("none", "repa", ARM))
    return dataclasses.replace(config, arms={**arms, ARM: {**arms[ARM], **overrides}})


def renewed(study: Study, config: StudyConfig) -> Study:
    """The folder of a study under other settings, as if it had been made with them."""
    (study.directory / "study.json").unlink()
    return create_study(config, study.directory)


@pytest.fixture(scope="module")
def study(smoke: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The finished smoke study with a third arm, the reference."""
    folder = tmp_path_factory.mktemp("reference") / "smoke"
    made_of_all = shutil.ignore_patterns("comparison.json", "report.html", "scorecard.parquet")
    shutil.copytree(smoke.directory, folder, ignore=made_of_all)
    study = renewed(Study(folder, smoke.config), with_reference(smoke.config))
    finish_with_two_probes(study, StageContext(find_placement("cpu")))
    return study


def test_a_study_with_a_reference_ends_and_its_twins_stay_twins(study: Study) -> None:
    comparison = read_json(study.directory / "comparison.json")
    assert list(comparison["arms"]) == ["none", "repa", ARM]
    assert all(comparison["paired"].values()), "of the twins"
    marked = {(row["a"], row["b"]) for row in comparison["contrasts"] if row.get("pairing")}
    assert marked == {(ARM, "none"), (ARM, "repa")}
    assert {row["pairing"] for row in comparison["contrasts"] if "pairing" in row} == {NO_TWIN}
    assert {pair["b"]: pair.get("pairing") for pair in comparison["pairs"]} == {
        "repa": None,
        ARM: NO_TWIN,
    }
    assert comparison["arms"][ARM]["reconstruction.token_accuracy"]["mean"] is not None
    assert f"| {ARM} |" in study_tables(comparison)
    rows = compare_runs(study.run(ARM, 0), study.run("none", 0))
    assert {row["pairing"] for row in rows} == {NO_TWIN}

    run, twin = study.run(ARM, 0), study.run("none", 0)
    own, known = (r.describe()["pairing"] for r in (run, twin))
    assert own["init.vae"] != known["init.vae"]
    assert {k: v for k, v in own.items() if k != "init.vae"} == {
        k: v for k, v in known.items() if k != "init.vae"
    }, "order and noise are shared, and the flow's first weights"


def test_only_the_decoder_learns_and_the_space_is_that_of_the_first_texts(
    study: Study, context: StageContext
) -> None:
    run = study.run(ARM, 0)
    vae, first = load_vae(run, context.place), untrained_vae(run, context.place)
    assert torch.equal(vae.space.components, first.space.components)
    ids = torch.from_numpy(study.corpus.split("test").padded(np.arange(4))[0])
    with torch.inference_mode():
        assert torch.equal(vae.encode(ids).mu, first.encode(ids).mu)
        assert not torch.equal(vae.decode(vae.encode(ids).mu), first.decode(vae.encode(ids).mu))


def test_the_context_never_sees_the_target(study: Study, context: StageContext) -> None:
    vae = untrained_vae(study.run(ARM, 0), context.place)
    ids = torch.from_numpy(study.corpus.split("test").padded(np.arange(4))[0])
    is_target = torch.arange(ids.shape[1]) >= 12
    changed = torch.where(is_target & (ids > 0), (ids % 50) + 2, ids)
    ctx = [vae.encode(x, is_target.long().expand_as(ids)).mu[:, :12] for x in (ids, changed)]
    assert torch.equal(*ctx)
    assert not torch.equal(*(vae.encode(x).mu[:, :12] for x in (ids, changed)))


@pytest.mark.parametrize("teacher", ["own", "random"])
def test_any_teacher_of_the_corpus_makes_a_space(
    teacher: str, prepared: Study, context: StageContext
) -> None:
    config = with_reference(
        prepared.config, **{"teacher.name": teacher, "teacher.layer": 0, "vae.space_layers": 1}
    )
    study = renewed(prepared, config)

    run = study.run(ARM, 0)
    prepare_teacher(study, run.config, context)
    vae = untrained_vae(run, context.place)
    ids = torch.from_numpy(study.corpus.split("train").padded(np.arange(64))[0])
    mu = vae.encode(ids).mu[ids > 0]
    assert (mu.var(0) > 0.5).all()
    other = Run(study, ARM, 0)
    minilm = dataclasses.replace(run.config.teacher, name="minilm")
    other.__dict__["config"] = dataclasses.replace(run.config, teacher=minilm)
    assert vae_fingerprint(other) != vae_fingerprint(run)


FULL = dict(STANDARD_ARMS[ARM])


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"none": {}, "taught": FULL}, "must end in -reference"),
        ({ARM: FULL, "none": {}}, "cannot be the first arm"),
        (
            {"none": {}, ARM: {**FULL, "vae_loss.repa_weight": 1.0}},
            "needs vae_loss.repa_weight=0, got 1.0",
        ),
        ({"none": {}, ARM: {**FULL, "teacher.permuted": True}}, "needs teacher.permuted=False"),
        (
            {"none": {}, ARM: {**FULL, "teacher.standardise": "none"}},
            "teacher.standardise=dimension, got 'none'",
        ),
        (
            {"none": {}, ARM: {**FULL, "vae_training.shard": "fsdp"}},
            "vae_training.shard=none, got 'fsdp'",
        ),
        ({"none": {}, ARM: {**FULL, "vae.sigma": "learned"}}, "'none' and 'learned'"),
        ({"none": {}, ARM: {**FULL, "vae.mu_norm": "layernorm"}}, "'layernorm' and 'fixed'"),
        (
            {"none": {}, ARM: {**FULL, "teacher.name": "smollm2"}},
            "'smollm2' does not read the pieces",
        ),
        *(
            (
                {"none": {}, ARM: {**FULL, "vae.space_layers": 8, "teacher.name": name}},
                f"vae.space_layers must be <= {most}, the hidden states of this teacher, got 8",
            )
            for name, most in (("minilm", 7), ("random", 7), ("own", 2))
        ),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    arms: dict[str, dict[str, object]], message: str, smoke_config: StudyConfig
) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(smoke_config, arms=arms)


def test_layers_that_a_named_teacher_lacks_are_refused_before_training(
    prepared: Study, context: StageContext, tmp_path: Path
) -> None:
    """Its depth is known when it is loaded, and later from what is stored beside its states."""
    teacher = f"hf:{save_tiny_bert(tmp_path / 'teacher')}"
    base = dataclasses.replace(
        prepared.config.base,
        teacher=dataclasses.replace(prepared.config.base.teacher, name=teacher, layer=1),
    )
    config = dataclasses.replace(prepared.config, base=base)
    message = rf"space_layers must be <= {LAYERS + 1}, the hidden states of this teacher, got 9"
    for stored in (False, True):
        study = Study(prepared.directory, with_reference(config, **{"vae.space_layers": 9}))
        run = study.run(ARM, 0)
        if stored:
            prepare_teacher(study, study.run("repa", 0).config, context)
        with pytest.raises(ValueError, match=message):
            prepare_teacher(study, run.config, context)
        assert (study.teacher_dir(run.config) / "report.json").is_file() == stored


def test_the_teacher_must_read_the_corpuss_tokens(smoke_config: StudyConfig) -> None:
    corpus = dataclasses.replace(smoke_config.base.corpus, vocabulary="bpe")
    base = dataclasses.replace(smoke_config.base, corpus=corpus)
    with pytest.raises(ValueError, match=r"needs corpus\.vocabulary=teacher, got 'bpe'"):
        dataclasses.replace(smoke_config, base=base, arms={"none": {}, ARM: FULL})
    own = {**FULL, "teacher.name": "own", "vae.space_layers": 2}
    assert dataclasses.replace(smoke_config, base=base, arms={"none": {}, ARM: own})
