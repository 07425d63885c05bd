"""A flow that generates a sentence vector of its teacher too: readers see the text alone."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finishing import finish_here
from short_training import StopAfter
from training_tasks import PLACE, OneBatch, checkpoint_bits, run_fit, small_training

from data.batches import BatchConfig, BatchPlan
from models.configs.flow import GuidanceConfig, SamplerConfig
from models.dit import TextDiT
from tests.workbench.sample.test_continuations import BRANCHES
from workbench.config.arms import standard_arms
from workbench.config.study import StudyConfig
from workbench.errors import InputError, StopRequested
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.example import make_example
from workbench.pipeline.run_stage import run_stage
from workbench.probes.catalogue import PROBES
from workbench.probes.course.over_training import probe_over_training, read_course
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.sample.branches import Branch, follow_prompt
from workbench.sample.continuations import continue_prompts, sample_prompts
from workbench.sample.generator import Generator, load_generator, renoising, starting_noise
from workbench.sample.held_out import first_prompts
from workbench.sample.prompts import Prompts, held_out_prompts
from workbench.sample.references import open_references
from workbench.sample.trajectories import read_trajectory
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Run, Study
from workbench.study.record import create_study
from workbench.train.flow import FlowTask, build_dit, flow_fingerprint, load_dit
from workbench.train.latents import latents_fingerprint, open_latents
from workbench.train.sentence_vectors import SentenceVectors
from workbench.train.teacher_states import TeacherStates
from workbench.train.vae import vae_fingerprint

ARM = "reg"
SAMPLER = SamplerConfig(num_steps=4, churn=1.0, restarts=1)


@pytest.fixture(scope="module")
def study(smoke: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The finished smoke study with a third arm, which generates a vector as well."""
    folder = tmp_path_factory.mktemp("reg") / "smoke"
    made_of_all = shutil.ignore_patterns(
        "study.json", "comparison.json", "report.html", "scorecard.parquet"
    )
    shutil.copytree(smoke.directory, folder, ignore=made_of_all)
    arms = standard_arms(("none", "repa", ARM))
    study = create_study(dataclasses.replace(smoke.config, arms=arms), folder)
    finish_here(study, StageContext(find_placement("cpu")))
    return study


@pytest.fixture
def run(study: Study) -> Run:
    return study.run(ARM, 0)


@pytest.fixture
def generator(run: Run, context: StageContext) -> Generator:
    """The arm's pair, its flow with last layers drawn, as eight steps teach it little."""
    found = load_generator(run, context.place)
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in found.dit.named_parameters():
            if "adaLN" in name or "head" in name or "_layer.linear" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=drawn))
    return found


@pytest.fixture
def prompts(study: Study) -> Prompts:
    known = open_references(study.references_dir)
    whole = held_out_prompts(study.corpus, known.indices, known.cuts, known.prompts, joint=False)
    return first_prompts(whole, 4)


def last_record(run: Run) -> dict[str, Any]:
    found = read_metrics(run.directory / "metrics.jsonl")
    return [record for record in found if record["stage"] == "flow"][-1]


def test_a_study_with_it_ends_and_its_arms_are_twins(study: Study, run: Run) -> None:
    comparison = read_json(study.directory / "comparison.json")
    assert list(comparison["arms"]) == ["none", "repa", ARM]
    assert all(comparison["paired"].values())
    twin = study.run("repa", 0)
    assert run.describe()["pairing"] == twin.describe()["pairing"]
    own, known = (load_latest(r.vae_dir, model_only=True) for r in (run, twin))
    assert own is not None
    assert known is not None
    assert all(torch.equal(own.model[name], known.model[name]) for name in known.model)
    record, other = last_record(run), last_record(twin)
    assert set(record) - set(other) == {"vector_loss"}
    assert math.isfinite(record["vector_loss"])
    quartiles = [record[f"loss_q{i}"] for i in (1, 2, 3, 4) if record[f"loss_q{i}"] is not None]
    assert min(quartiles) <= record["loss"] <= max(quartiles), "the text's part alone"
    assert record["floor_gaussian"] == other["floor_gaussian"]
    for name in PROBES:
        assert (run.probes_dir / f"{name}.json").is_file() == (
            twin.probes_dir / f"{name}.json"
        ).is_file()


def test_only_its_latents_and_flow_know_of_it(study: Study, run: Run) -> None:
    twin = study.run("repa", 0)
    assert vae_fingerprint(run) == vae_fingerprint(twin)
    assert latents_fingerprint(run) != latents_fingerprint(twin)
    assert flow_fingerprint(run) != flow_fingerprint(twin)
    heavier = Run(study, ARM, 0)
    flow = dataclasses.replace(run.config.flow, reg_weight=1.0)
    heavier.__dict__["config"] = dataclasses.replace(run.config, flow=flow)
    assert latents_fingerprint(heavier) == latents_fingerprint(run)
    assert flow_fingerprint(heavier) != flow_fingerprint(run)
    own, known = (open_latents(r.latents_dir, "train") for r in (run, twin))
    np.testing.assert_array_equal(own.mu, known.mu)
    assert known.vectors is None


def test_a_vector_is_the_teachers_mean_over_the_target(study: Study, run: Run) -> None:
    """Components have unit variance and come from the means, by a linear map, text by text."""
    teacher = dataclasses.replace(run.config.teacher, standardise="none")
    found, means = [], []
    for name in ("train", "test"):
        split, latents = study.corpus.split(name), open_latents(run.latents_dir, name)
        stored = TeacherStates(study.teacher_dir(run.config), name, split, teacher)
        states, valid = stored.gather(np.arange(len(split)), study.corpus.window)
        assert latents.vectors is not None
        assert latents.vectors.shape == (*latents.cuts.shape, run.config.vae.latent_width)
        for variant, cuts in enumerate(latents.cuts.T):
            rows = zip(states, valid, cuts, strict=True)
            means.append(torch.stack([s[cut:][v[cut:]].mean(0) for s, v, cut in rows]).numpy())
            found.append(np.asarray(latents.vectors[:, variant], np.float32))
    first, x = found[0], means[0].astype(np.float64)
    np.testing.assert_allclose(first.T @ first / len(first), np.eye(first.shape[1]), atol=0.02)
    x = (x - x.mean(0)) / x.std(0)
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    width = first.shape[1]
    expected = left[:, :width] * math.sqrt(len(x))
    expected *= np.sign((expected * first).sum(0))
    np.testing.assert_allclose(first, expected, atol=0.05)
    components = x.T @ expected / sizes[:width] ** 2
    for vectors, others in zip(found[1:], means[1:], strict=True):
        others = (others - means[0].mean(0)) / means[0].astype(np.float64).std(0)
        np.testing.assert_allclose(vectors, others @ components, atol=0.05)


def test_a_target_without_a_state_has_none(study: Study, run: Run) -> None:
    train, test = (open_latents(run.latents_dir, name) for name in ("train", "test"))
    made, cuts = SentenceVectors(run, train.cuts[:, 0]), test.cuts[:, 0].copy()
    assert test.vectors is not None
    np.testing.assert_array_equal(made.of("test", cuts), test.vectors[:, 0])
    cuts[1] = study.corpus.split("test").lengths[1]
    assert np.isnan(made.of("test", cuts)).all(axis=1).nonzero()[0].tolist() == [1]
    with pytest.raises(ValueError, match="reg_weight > 0 needs targets"):
        SentenceVectors(run, np.full_like(train.cuts[:, 0], study.corpus.window))


def test_twins_start_and_are_renoised_alike(
    study: Study, generator: Generator, prompts: Prompts, context: StageContext
) -> None:
    twin = load_generator(study.run("repa", 0), context.place)
    own, known = (starting_noise(g, prompts, 3) for g in (generator, twin))
    assert own.shape[1] == known.shape[1] + 1
    assert torch.equal(own[:, :-1], known)
    draws = [renoising(g, 3) for g in (generator, twin)]
    for _ in range(3):
        assert torch.equal(draws[0](own)[:, :-1], draws[1](known))


def test_it_moves_the_text_and_is_dropped_before_reading(
    study: Study, generator: Generator, prompts: Prompts, context: StageContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shapes = []
    read = type(generator.vae).decode_normalised

    def noted(vae: Any, z: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(z.shape[1:]))
        return read(vae, z)

    monkeypatch.setattr(type(generator.vae), "decode_normalised", noted)

    def write() -> Any:
        return continue_prompts(
            generator, study.corpus, prompts, context, sampler=SAMPLER,
            guidance=GuidanceConfig(guidance_scale=2.0), seed=1, trace=True,
        ).trace  # fmt: skip

    before = write()
    assert set(shapes) == {generator.latent_shape}
    assert before.z_t.shape[2:] == before.z_hat.shape[2:] == generator.latent_shape
    with torch.no_grad():
        generator.dit.vector_head.bias.add_(3.0)
    after = write()
    np.testing.assert_array_equal(after.z_hat[0], before.z_hat[0])
    assert not np.array_equal(after.z_t[-1], before.z_t[-1]), "later steps see another vector"


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch and branch.kind)
def test_playback_and_branches_follow_the_text(
    branch: Branch | None, study: Study, generator: Generator, prompts: Prompts,
    context: StageContext,
) -> None:  # fmt: skip
    one, guidance = prompts.part(slice(0, 1)), GuidanceConfig()
    track = follow_prompt(generator, one, SAMPLER, guidance, 1, branch)
    assert track.z_t.shape[1:] == track.z_hat.shape[1:] == generator.latent_shape
    assert track.token_ids.shape[1] == study.corpus.window
    plain = follow_prompt(generator, one, SAMPLER, guidance, 1)
    assert (branch is None) == np.array_equal(track.z_t[-1], plain.z_t[-1])
    written = continue_prompts(
        generator, study.corpus, one, context,
        sampler=SAMPLER, guidance=guidance, seed=1, alone=True, trace=True,
    ).trace  # fmt: skip
    assert written is not None
    np.testing.assert_array_equal(plain.z_t[1:], written.z_t[:, 0])


def test_probes_of_the_flow_see_the_text_alone(run: Run, context: StageContext) -> None:
    inputs = ProbeInputs(run, context.place)
    flow, shape = inputs.flow, (run.study.corpus.window, run.config.vae.latent_width)
    assert flow.sampled.z_hat.shape[2:] == flow.sampled.end.shape[1:] == shape
    assert flow.ode_path[1].shape[2:] == flow.finished.shape[1:] == shape
    pure = flow.denoised(1.0)
    np.testing.assert_allclose(pure.z_t, inputs.normalised_z[: len(pure.z_t)], atol=1e-5)
    assert {states.shape[1] for states in pure.hidden} == {shape[0]}
    stored = read_trajectory(next(run.trajectories_dir.glob("*.safetensors")))[0]
    assert stored.z_t.shape[2:] == shape
    assert run.config.sampling.sampler.churn == 0.0
    np.testing.assert_allclose(flow.ode_path[1][1:], stored.z_t, atol=2e-2)
    names = ("trajectory", "denoising", "flow_layers", "decoder_basin_flow", "flow_excess")
    run_stage(run, "probes", context, names)
    assert all((run.probes_dir / f"{name}.json").is_file() for name in names)


def test_the_flow_is_measured_over_training(run: Run, context: StageContext) -> None:
    probe_over_training(run, context)
    course = read_course(run)
    losses = course[course["measure"] == "flow.loss"]
    assert len(losses) == len(run.config.flow_training.milestone_steps) + 2
    assert np.isfinite(losses["score"]).all()


def task(run: Run, one_batch: bool = False) -> FlowTask:
    corpus = run.study.corpus
    plan: Any = BatchPlan(
        corpus.split("train").lengths, corpus.window, BatchConfig(batch_size=4), 0
    )
    latents = open_latents(run.latents_dir, "train")
    return FlowTask(
        build_dit(run, PLACE), run.config, latents, OneBatch(plan) if one_batch else plan, PLACE
    )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_and_two_steps_equal_four(optimizer: str, run: Run, tmp_path: Path) -> None:
    config = small_training(optimizer=optimizer)
    run_fit(task(run), config, tmp_path / "whole")
    with pytest.raises(StopRequested, match="step 2"):
        run_fit(task(run), config, tmp_path / "parts", stop=StopAfter(2))
    run_fit(task(run), config, tmp_path / "parts")
    whole, parts = (load_latest(tmp_path / folder) for folder in ("whole", "parts"))
    assert checkpoint_bits(whole) == checkpoint_bits(parts)


def test_it_learns_the_vectors_of_a_batch(run: Run, tmp_path: Path) -> None:
    config = small_training(
        num_steps=90, learning_rate=1e-2, warmup_steps=10, weight_decay=0.0, ema_decay=0.0
    )
    records = run_fit(task(run, one_batch=True), config, tmp_path)
    losses = [record.metrics["vector_loss"] for record in records]
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])


def test_it_goes_with_every_other_setting_of_the_flow(
    prepared: Study, context: StageContext
) -> None:
    overrides = {
        **standard_arms(["repa-both"])["repa-both"],
        "flow.reg_weight": 0.03,
        "flow.internal_weight": 0.5,
        "dit.internal_depth": 0.5,
        "dit.layers": 2,
        "dit.token_shift": True,
        "dit.backbone": "mmdit",
        "sampling.internal_scale": 2.0,
        "teacher.permuted": True,
    }
    config = dataclasses.replace(prepared.config, arms={"all": overrides})
    run = Study(prepared.directory, config).run("all", 0)
    run_stage(run, "vae", context)
    run_stage(run, "flow", context)
    record = last_record(run)
    assert all(
        math.isfinite(record[name])
        for name in ("loss", "vector_loss", "internal_loss", "repa_cosine")
    )
    written = sample_prompts(run, ["one day anna", "the fox"], context)
    assert len(written.texts) == 2
    loaded, known = TextDiT.from_pretrained(run.flow_dir / "step-8"), load_dit(run, context.place)
    assert loaded.config == known.config
    assert all(torch.equal(w, loaded.state_dict()[n]) for n, w in known.state_dict().items())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"flow.reg_weight": -1.0}, "reg_weight must be >= 0 and finite, got -1"),
        ({"dit.sentence_vector": True}, "dit.sentence_vector is filled from flow.reg_weight"),
        (
            {**standard_arms(["teacher-reference"])["teacher-reference"], "flow.reg_weight": 0.03},
            r"flow.reg_weight \(0.03\) needs vae.space 'learned': the latents of 'teacher'",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    overrides: dict[str, Any], message: str, smoke_config: StudyConfig
) -> None:
    arms = {**smoke_config.arms, "odd-reference": overrides}
    with pytest.raises(ValueError, match=message) as error:
        dataclasses.replace(smoke_config, arms=arms)
    assert "\n" not in str(error.value)


def test_more_channels_than_the_vectors_vary_in_are_refused(
    prepared: Study, context: StageContext
) -> None:
    arms = {"wide": {**standard_arms([ARM])[ARM], "vae.latent_width": 400}}
    study = Study(prepared.directory, dataclasses.replace(prepared.config, arms=arms))
    run_stage(study.run("wide", 0), "vae", context)
    with pytest.raises(ValueError, match=r"latent_width must not exceed the directions .* got 400"):
        run_stage(study.run("wide", 0), "flow", context)
    assert not study.run("wide", 0).latents_dir.exists()


def test_no_example_holds_it(study: Study, tmp_path: Path, context: StageContext) -> None:
    with pytest.raises(InputError, match="reg/seed-0: an example cannot hold an arm"):
        make_example(study, tmp_path / "example.tar.xz", context)
