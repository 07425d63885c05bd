"""Generators of every family as full citizens of a study: trained, resumed, sampled, scored."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from generator_study import GENERATORS, NETWORK, TRAINING, with_generators
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
from workbench.pipeline.run_study import run_study
from workbench.pipeline.stages import OF_A_GENERATOR
from workbench.pipeline.verify import verify_path
from workbench.probes.opened_study import OpenedStudy
from workbench.sample.continuations import sample_prompts
from workbench.sample.generators import WritingTrace, continue_texts
from workbench.sample.playback import AS_IN_THE_END, PlaybackView
from workbench.sample.writing_playback import MASK, WritingFollower, on_clock
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.study.folders import Study
from workbench.study.generators import GeneratorRun, find_generator
from workbench.study.record import create_study
from workbench.train.generators import load_trained, train_generator

WRITERS = ("repa", *FAMILIES)  # an arm is `textldm`, the latent flow
PROMPT = "anna the fox went to the lake"


@pytest.fixture
def study(generator_study) -> Study:
    return generator_study


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
    streams = 2 if name == "block-diffusion" else 1  # its second stream is clean
    rate = 6 * streams * cost[name]["parameters"]
    assert cost[name]["training_compute"] == rate * 8 * 8 * window
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


def continued(study: Study, name: str, texts: list[str], seed: int) -> list[str]:
    """What an arm or a generator writes after prompts."""
    context = StageContext(find_placement("cpu"))
    if name in FAMILIES:
        return continue_texts(GeneratorRun(study, name, 0), texts, context, seed=seed).texts
    return sample_prompts(study.run(name, 0), texts, context, seed=seed).texts


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_seed_writes_the_same_beside_any_prompt(study, name):
    texts = [continued(study, name, [PROMPT], 1) for _ in range(2)]
    assert texts[0] == texts[1]
    assert continued(study, name, ["the goose sang", PROMPT], 1)[1] == texts[0][0]


@pytest.mark.parametrize("name", WRITERS)
def test_the_command_samples_and_traces(study, name, capsys):
    """The trace's last moment holds the text that the command printed."""
    words = ["sample", f"{study.directory}/{name}/0", "--prompt", PROMPT, "--json", "--trace"]
    assert cli.main(words) == 0
    (sample,) = json.loads(capsys.readouterr().out)["samples"]
    assert sample["prompt"] == PROMPT
    (folder,) = study.directory.glob(f"*/{name}/seed-0/traces/*")
    assert verify_path(folder).sound
    trace = load_file(folder / "trajectory.safetensors")
    ids = trace["token_ids"][-1, 0, trace["cuts"][0] :]
    ended = np.cumsum(ids == study.corpus.tokenizer.eot_id) > 0
    assert study.corpus.tokenizer.decode(ids[~ended]) == sample["continuation"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_prompt_that_is_empty_or_fills_the_window_is_refused(study, name, capsys):
    words = ["sample", f"{study.directory}/{name}/0", "--prompt"]
    assert cli.main([*words, ""]) == 2
    assert "prompt 1 is empty" in capsys.readouterr().err
    assert cli.main([*words, "the " * study.corpus.window]) == 2
    assert "shorten the prompt" in capsys.readouterr().err


GUIDED = ["repa", *(name for name in FAMILIES if "guidance_scale" in FAMILIES[name].options())]


@pytest.mark.parametrize("name", GUIDED)
def test_guidance_costs_what_it_should(study, name, capsys):
    """Scale 1 is off and 0 without the prompt: one evaluation a step; any other scale is two."""

    def cost(scale: str) -> int:
        words = ["sample", f"{study.directory}/{name}/0", "--prompt", PROMPT, "--json"]
        assert cli.main([*words, "--num-steps", "5", "--guidance-scale", scale]) == 0
        return int(json.loads(capsys.readouterr().out)["nfe"])

    assert [cost(scale) for scale in ("0", "1", "2")] == [5, 5, 10]


def test_an_option_that_a_family_lacks_is_refused(study, capsys):
    words = ["sample", f"{study.directory}/gpt2/0", "--prompt", PROMPT]
    assert cli.main([*words, "--guidance-scale", "2"]) == 2
    assert "guidance_scale: gpt2 has no such setting; it has nucleus" in capsys.readouterr().err


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
        ({"family": "gtp2"}, f"generators.mine.family must be one of {', '.join(FAMILIES)}"),
        ({"family": "llada", "weights": "hf:x"}, "mine.weights: released weights of llada cannot"),
        ({"family": "gpt2", "weights": "x"}, "weights: must be hf:<model id or directory>, got"),
        ({"family": "gpt2", "weights": "hf:x", "network": {"width": 8}}, "belongs to hf:x, which"),
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


def test_reports_show_generators_beside_arms(study, capsys):
    from workbench.cli.show_results import print_comparison
    from workbench.report.first_texts import first_texts
    from workbench.report.markdown_tables import study_tables

    comparison = read_json(study.directory / "comparison.json")
    page = (study.directory / "report.html").read_text(encoding="utf-8")
    tables = study_tables(comparison)
    print_comparison(comparison)
    header = next(line for line in capsys.readouterr().out.splitlines() if "repa" in line)
    assert header.split() == ["none", "repa", *FAMILIES, "human"]
    assert "| metric | none | repa | " + " | ".join(FAMILIES) in tables
    for name in FAMILIES:
        assert f"<th>{name}</th>" in page
        assert f"{name} - none" in page
        assert f"| {name} |" in tables
    assert "What each one costs" in page
    assert set(first_texts(study, 1)[0].written) == {"none", "repa", *FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_playback_ends_in_the_text_that_is_sampled(study, name, context):
    """On a clock of nine moments, whatever the family's steps; masks settle and stay settled."""
    known = OpenedStudy(study)
    own = GeneratorRun(study, name, 0)
    follower = WritingFollower(
        run=own,
        model=load_trained(own, context.place),
        corpus=known.corpus,
        references=known.references,
        language_model=known.language_model(),
    )
    view = PlaybackView(row=0, typed="", sampler="", num_steps=0, guidance_scale=1.0, seed=5)
    found = follower.follow(view, 9, context)
    assert (
        found.text == continue_texts(own, [known.references.prompts[0]], context, seed=5).texts[0]
    )
    length = len(found.commit)
    assert found.is_text.shape == found.entropy.shape == (9, length)
    for moment, line in enumerate(found.tokens):
        masks = found.commit > moment if FAMILIES[name].has_masks else found.commit < 0
        assert [word == MASK for word in line] == masks.tolist()
    assert np.isnan(found.entropy[0]).all()
    assert found.commit.max() <= 8
    for name_, curve in found.curves.items():
        assert curve.shape == (9,), name_
        assert np.isnan(curve[0])
    if found.is_text[-1, 0]:
        assert found.curves[AS_IN_THE_END][-1] == 1.0
    typed = PlaybackView(row=-1, typed=PROMPT, sampler="", num_steps=0, guidance_scale=1.0, seed=5)
    assert follower.follow(typed, 4, context).facts == []


def test_a_clock_shows_the_last_step_that_was_reached():
    trace = WritingTrace(
        t=np.array([0.25, 0.5, 1.0]),
        nfe=np.arange(3),
        token_ids=np.array([[[9, 1, 1]], [[9, 2, 1]], [[9, 2, 3]]]),
        written=np.array([[[1, 0, 0]], [[1, 1, 0]], [[1, 1, 1]]], bool),
        entropy=np.zeros((3, 1, 3), np.float32),
        cuts=np.array([1]),
    )
    ids, settled, entropy = on_clock(trace, 5, 0)
    assert ids.tolist() == [[9, 0, 0], [9, 1, 1], [9, 2, 1], [9, 2, 1], [9, 2, 3]]
    assert settled.sum(axis=1).tolist() == [1, 1, 2, 2, 3]
    assert np.isnan(entropy[0]).all()


@pytest.mark.parametrize("name", WRITERS)
def test_a_frontier_moves_one_setting(study, name, capsys):
    """Its last row, at the run's own value, has the texts that were sampled, and their scores."""
    steps = name == "repa" or "num_steps" in FAMILIES[name].options()
    own = GENERATORS[name]["sampling"].get("num_steps") if name in FAMILIES else 4
    few = {6: "4"}.get(own, "1")  # at least one for each of the masked model's blocks
    setting, values = ("num_steps", (few, str(own))) if steps else ("nucleus", ("0.5", "0.95"))
    words = ["frontier", f"{study.directory}/{name}/0", "--setting", setting, "--values", *values]
    assert cli.main([*words, "--prompts", "24", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["value"] for row in rows] == [float(value) for value in values]
    assert [row["below_own"] for row in rows] == [steps, False]
    assert rows[0]["nfe"] < rows[1]["nfe"] or not steps
    (folder,) = study.directory.glob(f"*/{name}/seed-0")
    stored = read_json(folder / "evaluation.json")["guidance"]
    for metric, value in next(iter(stored.values()))["metrics"].items():
        if metric in ("valid_4gram", "nats_per_token", "length"):
            assert rows[1]["metrics"][metric]["mean"] == pytest.approx(value["mean"], rel=1e-6)
    assert read_json(folder / "frontiers" / f"{setting}.json")["rows"] == rows


def test_a_frontier_over_what_is_not_there_is_refused(study, capsys):
    words = ["frontier", f"{study.directory}/gpt2", "--values", "4"]
    assert cli.main(words) == 2
    assert "num_steps: gpt2 has no such setting; it has nucleus" in capsys.readouterr().err
    assert (
        cli.main(["frontier", f"{study.directory}/repa/0", "--setting", "nucleus", "--values", "1"])
        == 2
    )
    assert "nucleus: an arm has no such setting" in capsys.readouterr().err
    assert cli.main(["frontier", f"{study.directory}/llada", "--values", "1"]) == 2
    assert "num_steps must be at least one per block, got 1" in capsys.readouterr().err
    assert cli.main(["frontier", f"{study.directory}/llada", "--values", "8.5"]) == 2
    assert "num_steps: must be a whole number, got 8.5" in capsys.readouterr().err
