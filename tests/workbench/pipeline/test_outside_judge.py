"""A judge from outside joins a finished study: texts are scored again, nothing is trained."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from finishing import finish_here
from tiny_pretrained import save_tiny_bloom

from workbench.errors import InputError
from workbench.report.ladder import ladder_readings
from workbench.store.json_files import read_json
from workbench.study.record import create_study

PROMPTS = 6


def test_an_outside_judge_joins_a_finished_study(copy_smoke, tmp_path, context):
    study = copy_smoke()
    model = save_tiny_bloom(tmp_path / "judge")
    outside = dataclasses.replace(study.config.base.outside, model=f"hf:{model}", prompts=PROMPTS)
    config = dataclasses.replace(
        study.config, base=dataclasses.replace(study.config.base, outside=outside)
    )
    weights = [next(run.flow_dir.glob("step-*")) / "manifest.json" for run in study.runs]
    before = [file.stat().st_mtime_ns for file in weights]
    changed = create_study(config, study.directory)
    finish_here(changed, context)
    assert [file.stat().st_mtime_ns for file in weights] == before
    comparison = read_json(changed.directory / "comparison.json")
    names = {"nats[judge]", "energy[judge]", "energy[judge-alone]", "c2st[judge]"}
    for arm in comparison["arms"].values():
        assert {f"generation.{name}" for name in names} <= set(arm)
        assert arm["generation.nats[judge]"]["n"] <= PROMPTS
        assert arm["generation.nats[judge]"]["mean"] > 0
    assert {f"generation.{name}" for name in names} <= {
        row["metric"] for row in comparison["contrasts"]
    }
    assert names <= {reading.metric for reading in ladder_readings(comparison)}
    table = pd.read_parquet(next(changed.run("none", 0).scores_dir.glob("*.parquet")))
    assert table["nats[judge]"].notna().sum() <= PROMPTS < len(table)
    human = np.load(changed.baselines_dir / "human.judge.npy")
    assert human.shape[0] == PROMPTS


def test_an_arm_cannot_have_a_judge_of_its_own(smoke_config, tmp_path):
    arms = {**smoke_config.arms, "repa": {"outside.model": "smollm2"}}
    with pytest.raises(InputError, match=r"overrides outside\.model"):
        create_study(dataclasses.replace(smoke_config, arms=arms), tmp_path / "study")
