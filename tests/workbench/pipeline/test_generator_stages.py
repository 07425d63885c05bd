"""Generators by themselves: single stages, comparisons, more steps, and released weights."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from generator_study import GENERATORS, NETWORK
from sacrebleu import sentence_bleu

from workbench.cli import main as cli
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.run_study import finish_generator
from workbench.pipeline.stages import OF_A_GENERATOR
from workbench.report.generators import _generator_cost
from workbench.report.scorecard import run_table
from workbench.sample.continued import Continuations
from workbench.sample.least_risk import least_risk
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.study.folders import Study, open_study
from workbench.study.generators import GeneratorRun, find_writer
from workbench.study.record import create_study
from workbench.train.generators import train_generator


@pytest.fixture
def study(generator_study) -> Study:
    return generator_study


def test_a_begun_training_goes_on_to_more_steps(study, tmp_path):
    """As with arms: the earlier length is noted, and the last checkpoint is gone on from."""
    shutil.copytree(study.directory, tmp_path / "more", ignore=shutil.ignore_patterns(".lock"))
    longer = {**GENERATORS["gpt2"], "training": {**GENERATORS["gpt2"]["training"], "num_steps": 10}}
    wanted = dataclasses.replace(study.config, generators={**GENERATORS, "gpt2": longer})
    for _ in range(2):  # asked again it is the same study
        grown = create_study(wanted, tmp_path / "more")
        assert grown.config.generator("gpt2").training.earlier_num_steps == (8,)
    own = GeneratorRun(grown, "gpt2", 0)
    train_generator(own, StageContext(find_placement("cpu")))
    assert load_latest(own.model_dir).step == 10
    steps = [json.loads(line)["step"] for line in (own.directory / "metrics.jsonl").open()]
    assert steps[-1] == 10
    assert sorted(set(steps)) == steps
    assert [stage.state(own).is_done for stage in OF_A_GENERATOR] == [True, False, False]
    fewer = {**longer, "training": {**longer["training"], "num_steps": 9}}
    with pytest.raises(InputError, match=r"generators.gpt2.training.num_steps: 10 -> 9"):
        create_study(
            dataclasses.replace(study.config, generators={**GENERATORS, "gpt2": fewer}),
            tmp_path / "more",
        )


def test_single_stages_and_comparisons_take_generators(study, tmp_path, capsys):
    folder = tmp_path / "again"
    shutil.copytree(study.directory, folder, ignore=shutil.ignore_patterns(".lock"))
    own = find_writer(f"{folder}/generators/gpt2/seed-0")
    before = read_json(own.evaluation_file)["guidance"]
    own.evaluation_file.unlink()
    shutil.rmtree(own.samples_dir)
    for done in (False, True):
        assert cli.main(["evaluate", f"{folder}/gpt2/0", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["already_done"] == done
    assert read_json(own.evaluation_file)["guidance"] == before
    assert cli.main(["compare", f"{folder}/gpt2", f"{folder}/repa/0", "--json"]) == 0
    rows = {row["metric"]: row for row in json.loads(capsys.readouterr().out)["contrasts"]}
    stored = read_json(study.directory / "comparison.json")["generator_contrasts"]
    for row in stored:
        if (row["a"], row["b"]) == ("gpt2", "repa"):
            assert rows[row["metric"]]["difference"] == pytest.approx(row["difference"])
    assert {row["metric"] for row in stored} == set(rows)
    assert cli.main(["train-flow", f"{folder}/gpt2"]) == 2
    assert "has no stage 'flow'; it has generator, writing" in capsys.readouterr().err


def test_released_weights_are_scored_and_not_trained(smoke, tmp_path):
    """A small GPT-2 that shares the corpus's tokeniser, through every stage of a study."""
    from transformers import GPT2Config, GPT2Model

    corpus, weights = smoke.corpus, tmp_path / "weights"
    sizes = GPT2Config(
        vocab_size=30522, n_positions=corpus.window + 1, n_embd=16, n_layer=1, n_head=2,
        eos_token_id=102, bos_token_id=101,
    )  # fmt: skip
    GPT2Model(sizes).save_pretrained(weights)
    (file,) = smoke.corpus_dir.rglob("tokenizer.json")
    shutil.copy(file, weights)
    folder = tmp_path / "study"
    shutil.copytree(smoke.directory, folder, ignore=shutil.ignore_patterns(".lock"))
    frozen = {"frozen": {"family": "gpt2", "weights": f"hf:{weights}"}}
    study = create_study(dataclasses.replace(smoke.config, generators=frozen), folder)
    finish_generator(folder, "frozen", 0, StageContext(find_placement("cpu")))
    own = GeneratorRun(study, "frozen", 0)
    assert all(stage.state(own).is_done for stage in OF_A_GENERATOR)
    assert not (own.directory / "metrics.jsonl").exists()
    assert next(iter(read_json(own.evaluation_file)["guidance"].values()))["metrics"]
    cost = _generator_cost(own)
    assert cost["training_tokens"] is None
    assert cost["parameters"] < 30522 * 16  # what the corpus does not use is left out


def test_a_generators_states_are_probed_as_an_arm_is(study, tmp_path, capsys):
    """Its states halfway as a bundle, the bundle as an arm, and a probe of that arm's space."""
    folder, bundle = tmp_path / "study", tmp_path / "bundle"
    shutil.copytree(study.directory, folder, ignore=shutil.ignore_patterns(".lock"))
    words = ["export", f"{folder}/diffusion-lm", "--space", "middle", "--out", str(bundle)]
    assert cli.main(words) == 0
    assert cli.main(["import", str(bundle), "--study", str(folder), "--arm", "halfway"]) == 0
    capsys.readouterr()
    assert cli.main(["probe", f"{folder}/halfway/0", "--only", "isotropy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["probes"]
    assert read_json(folder / "arms/halfway/seed-0/probes/isotropy.json")["results"]
    (about,) = (folder / "arms/halfway/seed-0/latents").glob("bundle.json")
    assert read_json(about)["width"] == NETWORK["width"]  # embeddings have 64 channels
    words = ["export", f"{folder}/gpt2", "--space", "logits", "--out", str(tmp_path / "x")]
    assert cli.main(words) == 2
    assert "gpt2/seed-0 has none; it has embeddings, middle" in capsys.readouterr().err


def test_a_generators_space_stands_in_the_scorecard_with_its_scores(study, tmp_path):
    """One row for each generator, of its middle if that was imported, with its scores."""
    folder = tmp_path / "study"
    shutil.copytree(study.directory, folder, ignore=shutil.ignore_patterns(".lock"))
    spaces = [("gpt2", "embeddings"), ("llada", "middle"), ("llada", "embeddings")]
    for name, space in spaces:
        bundle, arm = str(tmp_path / f"{name}-{space}"), f"{name}-{space}"
        words = ["export", f"{folder}/{name}", "--space", space, "--out", bundle, "--quiet"]
        assert cli.main(words) == 0
        assert cli.main(["import", bundle, "--study", str(folder), "--arm", arm, "--quiet"]) == 0
    for arm in ("gpt2-embeddings", "llada-middle", "llada-embeddings"):
        only = ["--only", "isotropy", "--quiet"]
        assert cli.main(["probe", f"{folder}/{arm}/0", *only]) == 0
    copied = open_study(folder)
    table = run_table([copied])
    rows = {arm.split("/")[1]: row for row, arm in enumerate(table.arms)}
    assert set(rows) == {"none", "repa", "gpt2-embeddings", "llada-middle"}
    written = read_json(folder / "comparison.json")["generators"]
    for arm, name in (("gpt2-embeddings", "gpt2"), ("llada-middle", "llada")):
        assert table.families[rows[arm]] == "study: space of a generator"
        for score in ("generation.valid_4gram", "generation.nats_per_token"):
            assert table.scores[score][rows[arm]] == pytest.approx(written[name][score]["seeds"][0])
        probed = read_json(folder / f"arms/{arm}/seed-0/probes/isotropy.json")["results"]
        found = table.probes["isotropy.mean_cosine"][rows[arm]]
        assert found == pytest.approx(probed["isotropy.mean_cosine"]["score"])
    assert np.isnan(table.baselines["parameters.vae"][rows["gpt2-embeddings"]])


@pytest.mark.parametrize("name", ["diffusion-lm", "none"])
def test_the_candidate_of_least_risk_is_kept(study, name, capsys):
    """By direct count: the text whose summed BLEU against the other candidates is highest."""
    words = ["sample", f"{study.directory}/{name}/0", "--prompt", "anna the fox", "--json"]
    drawn = []
    for seed in ("3", "4", "5"):
        assert cli.main([*words, "--seed", seed]) == 0
        drawn.append(json.loads(capsys.readouterr().out))
    texts = [one["samples"][0]["continuation"] for one in drawn]
    gains = [sum(sentence_bleu(a, [b]).score for b in texts if b is not a) for a in texts]
    assert cli.main([*words, "--seed", "3", "--candidates", "3"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert kept["samples"][0]["continuation"] == texts[gains.index(max(gains))]
    assert kept["nfe"] == sum(one["nfe"] for one in drawn)
    for wrong in (["--candidates", "0"], ["--candidates", "2", "--trace"]):
        assert cli.main([*words, *wrong]) == 2
        assert "--candidates must be >= 1, and 1 with --trace" in capsys.readouterr().err


def test_a_lone_candidate_is_not_the_nearest():
    def one(text: str) -> Continuations:
        return Continuations(["a"], [text], [np.arange(3)], np.array([True]), 2, 0.5, None)

    found = least_risk([one("a hat"), one("the red fox ran far"), one("the red fox ran home")])
    assert found.texts[0].startswith("the red fox ran")
    assert (found.nfe, found.seconds) == (6, 1.5)
