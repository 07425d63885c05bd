"""The whole catalogue on a smoke study: every result whole, repeatable, stored and found again."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from workbench.config.settings import apply_overrides, build, to_dict
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.probes.catalogue import PROBES, probe_names, probe_of
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.probes.pair import pair_file, pair_results, probe_pair, probe_pairs
from workbench.probes.run import probe_fingerprint, probe_results, probe_run
from workbench.report.arm_metrics import metric_name
from workbench.study.folders import Run

NAMES = probe_names("all")


@pytest.fixture(scope="module")
def probed(sampled) -> Run:
    run = sampled.run("none", 0)
    probe_run(run, StageContext(find_placement("cpu")), NAMES)
    return run


def results(run: Run, name: str) -> dict[str, dict]:
    return json.loads((run.probes_dir / f"{name}.json").read_text())["results"]


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("name", NAMES)
def test_every_result_is_whole(probed, name):
    found = results(probed, name)
    assert found
    for result in found.values():
        assert {"score", "chance", "low", "high", "n", "reason"} <= set(result)
        assert all(math.isfinite(number) for number in numbers(result))
        assert (result["score"] is None) == bool(result["reason"])
        assert result["n"] >= 0
        if result["score"] is not None:
            assert result["n"] > 0
            drawn = result["low"] is not None and result["high"] is not None
            assert drawn or "not drawn" in result["detail"]["interval"]
            if drawn:
                assert result["low"] <= result["high"]


@pytest.mark.parametrize("name", NAMES)
def test_most_results_are_defined_even_on_a_toy(probed, name):
    defined = [r["score"] is not None for r in results(probed, name).values()]
    assert any(defined), [r["reason"] for r in results(probed, name).values()]


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_repeats_itself_and_stores_its_points_beside(probed, inputs, name):
    again = PROBES[name].run(inputs)
    stored = results(probed, name)
    assert {r.name: json.loads(json.dumps(r.to_json())) for r in again} == stored
    for result in again:
        file = probed.probes_dir / f"{result.name}.parquet"
        assert file.is_file() == bool(result.per_item)
        if result.per_item:
            frame = pd.read_parquet(file)
            assert list(frame.columns) == list(result.per_item)
            for column, values in result.per_item.items():
                np.testing.assert_array_equal(frame[column].to_numpy(), values)


def test_names_lead_back_to_their_probe(probed):
    seen: list[str] = []
    for name in NAMES:
        for result in results(probed, name):
            metric = metric_name(result)
            assert probe_of(metric) is PROBES[name], metric
            seen.append(metric)
    assert len(seen) == len(set(seen))
    assert probe_of("generation.fidelity") is None
    assert {"interpolation.frechet", "floor.velocity", "knn_coherence.token.other_id.pos"} <= set(
        seen
    )


def test_a_second_time_nothing_is_computed(probed, context, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(ProbeInputs, "__init__", refuse)
    again = probe_run(probed, context, NAMES)
    assert set(again) == {result for name in NAMES for result in results(probed, name)}


def test_a_result_stands_on_what_its_probe_reads(probed):
    def prints(*overrides: str) -> dict[str, str]:
        mapping = apply_overrides(to_dict(probed.study.config), list(overrides))
        config = build(type(probed.study.config), mapping)
        run = replace(probed.study, config=config).run("none", 0)
        return {name: probe_fingerprint(run, name) for name in NAMES}

    before = prints()
    assert len(set(before.values())) == len(NAMES)
    assert prints("base.evaluation.probes=all") == before
    sampled = prints("base.sampling.sampler.num_steps=9")
    changed = {name for name in NAMES if sampled[name] != before[name]}
    assert changed == {name for name in NAMES if "samples" in PROBES[name].needs}
    judged = prints("base.language_model.width=64")
    changed = {name for name in NAMES if judged[name] != before[name]}
    assert changed == {name for name in NAMES if "judge" in PROBES[name].needs}
    deeper = prints("base.dit.layers=2")
    assert {n for n in NAMES if deeper[n] != before[n]} == {
        n for n in NAMES if {"flow", "samples"} & set(PROBES[n].needs)
    }
    assert not set(before.values()) & set(prints("base.evaluation.neighbors=3").values())


def test_selections(sampled, context):
    assert set(probe_names("quick")) < set(NAMES) < set(PROBES)
    with pytest.raises(ValueError, match="quick, all, got 'some'"):
        probe_names("some")
    with pytest.raises(ValueError, match="no probe 'knn'; choose from reconstruction"):
        probe_run(sampled.run("none", 0), context, ["knn"])


def test_a_stage_that_is_missing_is_named(inputs, tmp_path):
    empty = replace(inputs.run, study=replace(inputs.run.study, directory=tmp_path))
    empty.study.__dict__["corpus"] = inputs.corpus
    with pytest.raises(InputError, match="no latents yet; run `train-flow` first"):
        type(inputs)(empty, inputs.place)
    inputs.run = empty
    with pytest.raises(InputError, match="no trajectory; run `evaluate` first"):
        PROBES["trajectory"].run(inputs)


def test_a_corpus_without_labels_says_so(inputs, monkeypatch):
    monkeypatch.setattr(inputs.corpus, "token_label_names", {})
    monkeypatch.setattr(inputs.split, "labels", {})
    for name in ("knn_coherence", "linear_separability", "denoising", "flow_layers"):
        (result,) = PROBES[name].run(inputs)
        assert result.reason == "the corpus has no labels of this kind"
        assert probe_of(result.name) is PROBES[name]


def test_a_study_that_keeps_no_paths_says_so(probed, inputs):
    mapping = apply_overrides(to_dict(probed.study.config), ["base.sampling.num_traces=0"])
    config = build(type(probed.study.config), mapping)
    run = replace(probed.study, config=config).run("none", 0)
    for name in ("trajectory", "trajectory_map", "decoder_basin_flow", "denoising"):
        (result,) = probe_results(run, name, inputs)
        assert result.reason.endswith("sampling.num_traces is 0")
        assert probe_of(result.name) is PROBES[name]
    assert all(r.score is not None for r in probe_results(run, "isotropy", inputs))


def test_an_arm_without_teacher_is_held_against_the_studys_first(probed, inputs):
    found = results(probed, "alignment")["alignment.linear_cka"]
    assert found["detail"]["teacher"] == "minilm"
    lonely = replace(probed.study.config, arms={"none": {"vae_loss.repa_weight": 0.0}})
    assert len(inputs.tokens.z)
    inputs.run = replace(probed, study=replace(probed.study, config=lonely))
    for name in ("alignment", "alignment_layers"):
        for result in PROBES[name].run(inputs):
            assert result.score is None
            assert result.reason == "no arm of the study aligns with a teacher"


def test_twins_are_probed_together(probed, context):
    other = probed.study.run("repa", 0)
    document = probe_pair(probed, other, context)
    file = pair_file(probed, other)
    assert file.name == "none-repa-seed-0.json"
    assert json.loads(file.read_text()) == document
    found = document["results"]
    assert {f"displacement.{level}" for level in ("text", "token")} <= set(found)
    for measure in ("linear_cka", "cknna", "mutual_knn"):
        assert found[f"alignment.{measure}.token"]["score"] is not None
    moved = pd.read_parquet(file.with_name(f"{file.stem}.displacement.text.parquet"))
    assert list(moved["text"]) == list(range(40))
    assert {"displacement", "overlap"} <= set(moved)
    maps = [
        pd.read_parquet(file.with_name(f"{file.stem}.latent_map.text.{arm}.parquet"))
        for arm in ("none", "repa")
    ]
    assert len(maps[0]) == len(maps[1]) == 40


def test_a_pair_is_probed_once(probed, context, monkeypatch):
    other = probed.study.run("repa", 0)
    before = probe_pair(probed, other, context)
    monkeypatch.setattr(ProbeInputs, "__init__", lambda *_: 1 / 0)
    assert probe_pairs(probed.study, context) == [before]
    with pytest.raises(InputError, match="are not twins"):
        pair_file(probed, probed)


def test_a_space_and_its_rotation_are_twins_that_did_not_move(new_inputs):
    first, second = new_inputs(), new_inputs()
    rng = np.random.default_rng(0)
    width = first.normalised_mu.shape[2]
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    second.normalised_mu = first.normalised_mu @ rotation
    same = {result.name: result.score for result in pair_results(first, second)}
    assert same["displacement.text"] == pytest.approx(0, abs=1e-3)
    assert same["alignment.linear_cka.token"] == pytest.approx(1, abs=1e-3)
    second = new_inputs()
    second.normalised_mu = rng.standard_normal(first.normalised_mu.shape).astype(np.float32)
    other = {result.name: result.score for result in pair_results(first, second)}
    assert other["displacement.token"] == pytest.approx(0.5, abs=0.1)
    assert abs(other["alignment.linear_cka.token"]) < 0.1
