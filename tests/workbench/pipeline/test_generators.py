"""Generators of every family as full citizens of a study: trained, resumed, sampled, scored."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_once import made_once
from safetensors.numpy import load_file
from short_training import StopAfter
from training_tasks import bits

from models.generators.families import FAMILIES
from workbench.cli import main as cli
from workbench.config.study import StudyConfig
from workbench.errors import InputError, StopRequested
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.fork import fork_study
from workbench.pipeline.run_study import conclude, finish_generator, run_study
from workbench.pipeline.stages import OF_A_GENERATOR
from workbench.pipeline.verify import verify_path
from workbench.sample.generators import continue_texts
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.study.folders import Study, open_study
from workbench.study.generators import GeneratorRun, find_generator, generator_runs
from workbench.study.record import create_study
from workbench.train.generators import train_generator

TRAINING = {"num_steps": 8, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 4}
NETWORK = {"width": 32, "layers": 1, "heads": 2}
SAMPLING: dict[str, dict[str, Any]] = {"llada": {"num_steps": 6, "guidance_scale": 1.5}}
GENERATORS = {
    name: {
        "family": name,
        "network": NETWORK,
        "training": {**TRAINING, "ema_decay": 0.9},
        "sampling": SAMPLING.get(name, {}),
    }
    for name in FAMILIES
}
PROMPT = "anna the fox went to the lake"


def with_generators(config: StudyConfig) -> StudyConfig:
    return dataclasses.replace(config, generators=GENERATORS)


@pytest.fixture(scope="module")
def study(smoke, tmp_path_factory) -> Study:
    """A finished study to which one generator of every family was added."""
    import shutil

    def make(folder):
        shutil.copytree(smoke.directory, folder, ignore=shutil.ignore_patterns(".lock"))
        added = create_study(with_generators(smoke.config), folder)
        context = StageContext(find_placement("cpu"))
        for run in generator_runs(added):
            finish_generator(folder, run.generator, run.seed, context)
        conclude(added, context)

    return open_study(made_once("smoke-generators", make, tmp_path_factory))


@pytest.fixture
def run(study) -> GeneratorRun:
    return GeneratorRun(study, "llada", 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_stage_of_a_generator_is_done_and_sound(study, name):
    own = GeneratorRun(study, name, 0)
    assert all(stage.state(own).is_done for stage in OF_A_GENERATOR)
    assert verify_path(own.directory).sound
    records = (own.directory / "metrics.jsonl").read_text().splitlines()
    assert json.loads(records[-1])["step"] == TRAINING["num_steps"]


def test_the_arms_of_the_study_were_left_alone(study, smoke):
    for part in ("arms", "baselines"):
        before, after = (read_json(s.directory / "comparison.json")[part] for s in (smoke, study))
        assert before == after
    context = StageContext(find_placement("cpu"))
    assert run_study(study.config, study.directory, context).already_done


@pytest.mark.parametrize("name", FAMILIES)
def test_a_generator_is_scored_as_an_arm_is(study, name):
    comparison = read_json(study.directory / "comparison.json")
    arm = {m for m in comparison["arms"]["none"] if m.startswith("generation.")}
    found = comparison["generators"][name]
    assert set(found) == arm
    for value in found.values():
        assert {"mean", "low", "high", "n", "seeds", "chance"} <= set(value)
    pairs = {(r["a"], r["b"]) for r in comparison["generator_contrasts"] if r["a"] == name}
    assert pairs == {(name, "none"), (name, "repa")}
    frame = pd.read_parquet(next(GeneratorRun(study, name, 0).samples_dir.glob("*.parquet")))
    mean = frame["num_tokens"].mean()
    assert mean == pytest.approx(found["generation.length"]["mean"], rel=0.5)


@pytest.mark.parametrize("name", FAMILIES)
def test_costs_are_counted(study, name):
    cost = read_json(study.directory / "comparison.json")["costs"]
    weights = load_latest(GeneratorRun(study, name, 0).model_dir, model_only=True)
    assert cost[name]["parameters"] == sum(tensor.numel() for tensor in weights.model.values())
    window = study.corpus.window
    assert cost[name]["training_tokens"] == 8 * 8 * window
    assert cost[name]["training_compute"] == 6 * cost[name]["parameters"] * 8 * 8 * window
    assert set(cost) == {"none", "repa", *FAMILIES}
    assert cost["none"]["nfe"] == 4 * 2  # four steps, guided
    if name == "llada":
        assert cost[name]["nfe"] == 6 * 2


@pytest.mark.parametrize("name", FAMILIES)
def test_resuming_gives_the_same_bits(study, name, tmp_path):
    """Stopped after three steps and started again: every weight and moment is the same."""
    whole = load_latest(GeneratorRun(study, name, 0).model_dir)
    folder = tmp_path / "study"
    (folder / "corpus").parent.mkdir(parents=True)
    (folder / "corpus").symlink_to(study.corpus_dir)
    own = GeneratorRun(Study(folder, study.config), name, 0)
    place = find_placement("cpu")
    with pytest.raises(StopRequested):
        train_generator(own, StageContext(place, stop=StopAfter(3)))
    assert load_latest(own.model_dir).step == 3
    train_generator(own, StageContext(place))
    again = load_latest(own.model_dir)
    for part in ("step", "model", "tensors", "optimizer"):
        assert bits(getattr(again, part)) == bits(getattr(whole, part))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_trace_ends_in_the_text(study, name):
    own = GeneratorRun(study, name, 0)
    frame = pd.read_parquet(next(own.samples_dir.glob("*.parquet")))
    trace = load_file(next(own.trajectories_dir.glob("*.safetensors")))
    assert trace["written"][-1].all()
    eot = study.corpus.tokenizer.eot_id
    for row, cut in enumerate(trace["cuts"]):
        ids = trace["token_ids"][-1, row, cut:]
        stops = np.flatnonzero(ids == eot)
        text = ids[: stops[0]] if len(stops) else ids
        assert text.tolist() == frame["token_ids"].iloc[row].tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_writes_the_same_and_another_does_not(study, name, context):
    own = GeneratorRun(study, name, 0)
    texts = [continue_texts(own, [PROMPT], context, seed=seed).texts for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    beside = continue_texts(own, ["the goose sang", PROMPT], context, seed=1).texts
    assert beside[1] == texts[0][0]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_command_samples_and_traces(study, name, capsys):
    words = ["sample", f"{study.directory}/{name}", "--prompt", PROMPT, "--json", "--trace"]
    assert cli.main(words) == 0
    (sample,) = json.loads(capsys.readouterr().out)["samples"]
    assert sample["prompt"] == PROMPT
    (folder,) = GeneratorRun(study, name, 0).directory.glob("traces/*")
    assert verify_path(folder).sound


def test_an_option_that_a_family_lacks_is_refused(study, capsys):
    words = ["sample", f"{study.directory}/gpt2/0", "--prompt", PROMPT]
    assert cli.main([*words, "--guidance-scale", "2"]) == 2
    assert "guidance_scale: gpt2 has no such setting; it has nucleus" in capsys.readouterr().err
    assert cli.main([*words, ""]) == 2
    assert "prompt 2 is empty" in capsys.readouterr().err


def test_names_of_generators_are_found(study, run):
    for name in ("llada", "llada/0", "llada/seed-0"):
        assert find_generator(f"{study.directory}/{name}") == run
    assert find_generator(f"{study.directory}/repa") is None
    assert find_generator("nowhere/llada") is None


def refused(changes: dict[str, Any], smoke_config: StudyConfig) -> str:
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(smoke_config, generators={"mine": changes})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "generators.mine.family: is missing"),
        ({"family": "gtp2"}, "generators.mine.family must be one of gpt2, llada"),
        ({"family": "gpt2", "layers": 3}, "generators.mine.layers: unknown key, known: family"),
        ({"family": "gpt2", "network": {"widht": 3}}, "network.widht: unknown key, did you mean"),
        ({"family": "gpt2", "network": {"width": 33}}, "mine.network: width must be a multiple"),
        ({"family": "gpt2", "network": {"window": 9}}, "network.window: is filled from the corpus"),
        ({"family": "gpt2", "sampling": {"nucleus": 0.0}}, r"nucleus must lie in (0, 1], got 0.0"),
        ({"family": "gpt2", "sampling": {"blocks": 2}}, "mine.sampling.blocks: unknown key"),
        ({"family": "llada", "sampling": {"num_steps": 2}}, "num_steps must be at least one per"),
        ({"family": "llada", "training": {"bucket_multiple": 8}}, "bucket_multiple: must be 0"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(smoke_config, changes, message):
    assert message in refused(changes, smoke_config)


@pytest.mark.parametrize("name", ["none", "human", "a b"])
def test_bad_names_are_refused(smoke_config, name):
    with pytest.raises(ValueError, match="generator"):
        dataclasses.replace(smoke_config, generators={name: {"family": "gpt2"}})


def test_a_study_without_generators_is_what_it_was(smoke_config):
    from workbench.config import settings

    assert "generators" not in settings.identity(smoke_config)
    assert settings.fingerprint(with_generators(smoke_config)) != settings.fingerprint(smoke_config)


def test_settings_of_what_was_trained_stay(study):
    """Another way of writing is free, another network is not; a new generator always is."""

    def changed(**parts: Any) -> StudyConfig:
        own = {**GENERATORS["llada"], **parts}
        return dataclasses.replace(study.config, generators={**GENERATORS, "llada": own})

    with pytest.raises(InputError, match=r"generators.llada.network.width: 32 -> 64"):
        create_study(changed(network={**NETWORK, "width": 64}), study.directory)
    create_study(changed(sampling={"num_steps": 9}), study.directory)
    more = {**GENERATORS, "second": {"family": "gpt2"}}
    create_study(dataclasses.replace(study.config, generators=more), study.directory)
    create_study(study.config, study.directory)


def test_a_fork_takes_generators_over(study, tmp_path, context):
    config = dataclasses.replace(
        study.config,
        generators={**GENERATORS, "gpt2": {**GENERATORS["gpt2"], "sampling": {"nucleus": 0.5}}},
    )
    fork_study(study, config, tmp_path / "fork", context)
    reused = set(read_json(tmp_path / "fork" / "study.json")["forked_from"]["reused"])
    for name in FAMILIES:
        assert f"generators/{name}/seed-0/model/step-8" in reused
    assert "generators/llada/seed-0/samples" in reused
    assert "generators/llada/seed-0/scores" in reused
    assert "generators/gpt2/seed-0/samples" not in reused


def test_reports_show_generators_beside_arms(study):
    from workbench.cli.show_results import print_comparison
    from workbench.report.first_texts import first_texts
    from workbench.report.markdown_tables import study_tables

    comparison = read_json(study.directory / "comparison.json")
    page = (study.directory / "report.html").read_text(encoding="utf-8")
    tables = study_tables(comparison)
    print_comparison(comparison)
    for name in FAMILIES:
        assert f"<th>{name}</th>" in page
        assert f"{name} - none" in page
        assert f"| {name} |" in tables
    assert "What each one costs" in page
    assert set(first_texts(study, 1)[0].written) == {"none", "repa", *FAMILIES}
