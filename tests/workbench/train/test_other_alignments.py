"""Other ways of aligning, trained: each stays a twin, logs what it minimises, and is identified."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from models.dit import TextDiT
from workbench.config.arms import STANDARD_ARMS
from workbench.config.presets import PRESETS
from workbench.config.run import needs_teacher
from workbench.config.study import StudyConfig
from workbench.machine.context import StageContext
from workbench.pipeline.run_stage import run_stage
from workbench.store.checkpoints import load_latest
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Run, Study
from workbench.train.flow import flow_fingerprint, train_flow
from workbench.train.vae import train_vae, vae_fingerprint


def with_arms(study: Study, *names: str) -> Study:
    arms = {**study.config.arms, **{name: dict(STANDARD_ARMS[name]) for name in names}}
    return Study(study.directory, dataclasses.replace(study.config, arms=arms))


def last_record(run: Run, stage: str) -> dict[str, object]:
    return [r for r in read_metrics(run.directory / "metrics.jsonl") if r["stage"] == stage][-1]


@pytest.mark.parametrize("arm", ["gram", "gram-across", "irepa", "deep", "masked", "predictive"])
def test_an_aligned_autoencoder_is_a_twin_that_logs_its_alignment(
    arm: str, prepared: Study, smoke: Study, context: StageContext
) -> None:
    run = with_arms(prepared, arm).run(arm, 0)
    train_vae(run, context)
    pairing, twins = run.describe()["pairing"], smoke.run("none", 0).describe()["pairing"]
    assert pairing == {key: value for key, value in twins.items() if key.endswith(".vae")}
    record = last_record(run, "vae")
    by_gram = arm.startswith("gram")
    minimised = "gram_error" if by_gram else "repa_cosine"
    assert isinstance(record[minimised], float)
    assert record["grad_share_repa"] > 0
    assert ("gram_error" in record) == by_gram
    weights, others = (load_latest(r.vae_dir) for r in (run, smoke.run("repa", 0)))
    assert weights is not None
    assert others is not None
    assert not torch.equal(weights.model["mu_head.weight"], others.model["mu_head.weight"])


def test_an_aligned_block_leaves_the_autoencoder_and_the_twin_as_they_are(
    prepared: Study, smoke: Study, context: StageContext
) -> None:
    study = with_arms(prepared, "repa-dit")
    run, twin = study.run("repa-dit", 0), smoke.run("none", 0)
    assert vae_fingerprint(run) == vae_fingerprint(twin)
    assert flow_fingerprint(run) != flow_fingerprint(twin)
    train_vae(run, context)
    dit = train_flow(run, context)
    own, known = (load_latest(r.vae_dir, model_only=True) for r in (run, twin))
    assert own is not None
    assert known is not None
    assert all(torch.equal(own.model[name], known.model[name]) for name in known.model)
    assert run.describe()["pairing"] == twin.describe()["pairing"]

    record, other = last_record(run, "flow"), last_record(twin, "flow")
    assert math.isfinite(record["repa_cosine"])
    assert set(record) - set(other) == {"repa_cosine"}
    quartiles = [record[f"loss_q{i}"] for i in (1, 2, 3, 4) if record[f"loss_q{i}"] is not None]
    assert min(quartiles) <= record["loss"] <= max(quartiles), "the velocity's part alone"

    flow = load_latest(run.flow_dir, model_only=True)
    assert flow is not None
    assert any(name.startswith("projector") for name in flow.model)
    plain = TextDiT(dataclasses.replace(dit.config, repa_depth=None)).eval()
    plain.load_state_dict({k: v for k, v in dit.state_dict().items() if "projector" not in k})
    z, t = torch.randn((2, 6, dit.config.latent_width)), torch.tensor([0.2, 0.7])
    ctx_mask = torch.arange(6).expand(2, 6) < 3
    assert torch.equal(dit(z, t, z, ctx_mask), plain(z, t, z, ctx_mask))


def test_a_flow_knows_the_teacher_that_it_is_aligned_with(prepared: Study) -> None:
    study = with_arms(prepared, "repa-dit", "repa-both")
    run = study.run("repa-dit", 0)
    assert needs_teacher(run.config)
    other = dataclasses.replace(run.config.teacher, standardise="sequence")
    changed = Run(study, "repa-dit", 0)
    changed.__dict__["config"] = dataclasses.replace(run.config, teacher=other)
    assert flow_fingerprint(changed) != flow_fingerprint(run)
    assert vae_fingerprint(changed) == vae_fingerprint(run)
    unaligned = Run(study, "none", 0)
    before = flow_fingerprint(unaligned)
    unaligned.__dict__["config"] = dataclasses.replace(unaligned.config, teacher=other)
    assert flow_fingerprint(unaligned) == before
    assert vae_fingerprint(study.run("repa-both", 0)) == vae_fingerprint(study.run("repa", 0))


def test_the_tiny_flow_of_a_probe_is_never_aligned(prepared: Study, context: StageContext) -> None:
    run = with_arms(prepared, "repa-dit").run("repa-dit", 0)
    train_vae(run, context)
    train_flow(run, context)
    run_stage(run, "probes", context, ("flow_excess",))
    assert (run.probes_dir / "flow_excess.json").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"flow.repa_weight": 0.5}, "flow.repa_weight > 0 needs dit.repa_depth"),
        ({"dit.repa_depth": 0.3}, r"dit.repa_depth \(0.3\) needs flow.repa_weight > 0"),
        (
            {"flow.repa_weight": -1.0, "dit.repa_depth": 0.3},
            "repa_weight must be >= 0 and finite, got -1",
        ),
        ({"flow.internal_weight": 0.5}, "need each other, got 0.5 and None"),
        (
            {"dit.internal_depth": 0.5, "dit.layers": 2},
            "need each other, got 0.0 and 0.5",
        ),
        ({"sampling.internal_scale": 2.0}, r"internal_scale \(2.0\) needs dit.internal_depth"),
        ({"sampling.internal_scale": -1.0}, r"internal_scale must be in \[0, 10000\], got -1"),
        ({"vae.mask_share": 0.2}, "mask_share and mask_target need projector 'deep'.*got 'mlp'"),
        (
            {"vae.projector": "deep", "vae.mask_target": True, "context.split_prob": 0.0},
            "vae.mask_target needs context.split_prob > 0",
        ),
        (
            {"vae.projector": "deep", "vae.mask_share": 0.2, "vae_loss.alignment": "gram"},
            "hide words from the projector, and vae_loss.alignment 'gram' has none",
        ),
        *(
            (
                {**STANDARD_ARMS[arm], "vae_loss.repa_weight": 0.0},
                "hide words from the projector, which learns nothing with vae_loss.repa_weight=0",
            )
            for arm in ("masked", "predictive")
        ),
    ],
)
def test_half_a_setting_is_refused(
    overrides: dict[str, float], message: str, smoke_config: StudyConfig
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        dataclasses.replace(smoke_config, arms={"odd": overrides})
    assert "\n" not in str(error.value)


def test_arms_of_the_preset_differ_from_repa_in_what_they_declare() -> None:
    config = PRESETS["alignments"]()
    repa = config.arms["repa"]
    declared = {
        arm: {key for key in {*own, *repa} if own.get(key) != repa.get(key)}
        for arm, own in config.arms.items()
    }
    assert declared == {
        "none": {"vae_loss.repa_weight"},
        "repa": set(),
        "gram": {"vae_loss.repa_weight", "vae_loss.alignment"},
        "gram-across": {"vae_loss.repa_weight", "vae_loss.alignment", "vae_loss.gram_texts"},
        "irepa": {"vae.projector", "teacher.standardise"},
        "repa-linear": {"vae.projector"},
        "repa-conv": {"vae.projector"},
        "repa-sequence": {"teacher.standardise"},
        "deep": {"vae.projector"},
        "masked": {"vae.projector", "vae.mask_share"},
        "predictive": {"vae.projector", "vae.mask_target"},
        "early": {"vae_loss.repa_stop_step"},
        "repa-dit": {"vae_loss.repa_weight", "flow.repa_weight", "dit.repa_depth"},
        "repa-both": {"flow.repa_weight", "dit.repa_depth"},
        "reg": {"flow.reg_weight"},
    }
