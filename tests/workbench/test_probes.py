"""The whole catalogue on a smoke study: every result whole, repeatable, stored and found again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import probed_study
import pytest

from workbench.compare import metric_name
from workbench.errors import InputError
from workbench.probe import probe_fingerprint, probe_run
from workbench.probes import PROBES, probe_names, probe_of
from workbench.runs import Run
from workbench.settings import apply_overrides, build, to_dict

NAMES = probe_names("all")


@pytest.fixture(scope="module")
def probed() -> Run:
    run = probed_study.run()
    probe_run(run, probed_study.corpus(), probed_study.context(), NAMES)
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
def test_every_result_is_whole(probed: Run, name: str) -> None:
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
def test_most_results_are_defined_even_on_a_toy(probed: Run, name: str) -> None:
    defined = [r["score"] is not None for r in results(probed, name).values()]
    assert any(defined), [r["reason"] for r in results(probed, name).values()]


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_repeats_itself(probed: Run, name: str) -> None:
    again = PROBES[name].run(probed_study.inputs())
    stored = results(probed, name)
    assert {r.name: json.loads(json.dumps(r.to_json())) for r in again} == stored


@pytest.mark.parametrize("name", NAMES)
def test_detail_a_point_is_stored_beside_the_number(probed: Run, name: str) -> None:
    for result in PROBES[name].run(probed_study.inputs()):
        file = probed.probes_dir / f"{result.name}.parquet"
        assert file.is_file() == bool(result.per_item)
        if result.per_item:
            frame = pd.read_parquet(file)
            assert list(frame.columns) == list(result.per_item)
            for column, values in result.per_item.items():
                np.testing.assert_array_equal(frame[column].to_numpy(), values)


def test_names_lead_back_to_their_probe(probed: Run) -> None:
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


def test_a_second_time_nothing_is_computed(probed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("workbench.probe_inputs.ProbeInputs.__init__", refuse)
    again = probe_run(probed, probed_study.corpus(), probed_study.context(), NAMES)
    assert set(again) == {result for name in NAMES for result in results(probed, name)}


def test_a_result_stands_on_what_its_probe_reads(probed: Run) -> None:
    def prints(*overrides: str) -> dict[str, str]:
        mapping = apply_overrides(to_dict(probed.study.config), list(overrides))
        config = build(type(probed.study.config), mapping)
        run = replace(probed.study, config=config).run("none", 0)
        return {name: probe_fingerprint(run, probed_study.corpus(), name) for name in NAMES}

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


def test_selections() -> None:
    assert set(probe_names("quick")) < set(NAMES) < set(PROBES)
    with pytest.raises(ValueError, match="quick, all, got 'some'"):
        probe_names("some")
    with pytest.raises(ValueError, match="no probe 'knn'; choose from reconstruction"):
        probe_run(probed_study.run(), probed_study.corpus(), probed_study.context(), ["knn"])


def test_a_stage_that_is_missing_is_named(tmp_path: object) -> None:
    inputs = probed_study.inputs()
    empty = replace(inputs.run, study=replace(inputs.run.study, directory=tmp_path))
    with pytest.raises(InputError, match="no latents yet; run `train-flow` first"):
        type(inputs)(empty, inputs.corpus, inputs.place)
    inputs.run = empty
    with pytest.raises(InputError, match="no trajectory; run `evaluate` first"):
        PROBES["trajectory"].run(inputs)


def test_an_arm_without_teacher_is_held_against_the_studys_first(probed: Run) -> None:
    found = results(probed, "alignment")["alignment.linear_cka"]
    assert found["detail"]["teacher"] == "minilm"
    lonely = replace(probed.study.config, arms={"none": {"vae_loss.repa_weight": 0.0}})
    inputs = probed_study.inputs()
    inputs.run = replace(probed, study=replace(probed.study, config=lonely))
    for name in ("alignment", "alignment_layers"):
        for result in PROBES[name].run(inputs):
            assert result.score is None
            assert result.reason == "no arm of the study aligns with a teacher"
