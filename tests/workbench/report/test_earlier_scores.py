"""A run that was scored by a release which did not know a score yet, beside one that has it."""

import dataclasses
import shutil

import pandas as pd
import pytest

from workbench.report.arm_metrics import arm_generation, arm_probes, load_scores
from workbench.report.compare import compare_study
from workbench.store.json_files import read_json, write_json
from workbench.study.folders import open_study

METRIC = "grammar_sentences"


@pytest.mark.parametrize("arm", ["none", "repa"])
def test_an_arm_without_a_score_is_compared_by_the_others(smoke, tmp_path, arm):
    folder = tmp_path / "study"
    shutil.copytree(smoke.directory, folder)
    study = open_study(folder)
    run = study.run(arm, 0)
    document = read_json(run.evaluation_file)
    for scale, scored in document["guidance"].items():
        file = run.scores_dir / f"{scale}.parquet"
        pd.read_parquet(file).drop(columns=METRIC).to_parquet(file, index=False)
        del scored["metrics"][METRIC]
    write_json(run.evaluation_file, document)
    found = compare_study(study)
    other = {"none": "repa", "repa": "none"}[arm]
    name = f"generation.{METRIC}"
    assert found["arms"][other][name]["mean"] is not None
    assert name not in found["arms"][arm]
    rows = {row["metric"]: row for row in found["contrasts"]}
    assert "generation.rouge1" in rows
    assert name not in rows or rows[name]["difference"] is None


def test_a_seed_without_a_measure_leaves_the_others_at_their_places(smoke):
    found = {"score": 2.0, "low": 1.0, "high": 3.0, "n": 9, "chance": 0.5, "higher_is_better": True}
    row = arm_probes([{}, {"isotropy.uniformity": found}])["isotropy.uniformity"]
    assert (row["seeds"], row["chance"], row["higher_is_better"]) == ([None, 2.0], 0.5, True)
    scores = load_scores(smoke.run("repa", 0), "g2")
    without = dataclasses.replace(scores, whole={})
    metrics = arm_generation([without, scores], smoke, "generation")
    seeds = metrics["generation.mauve[minilm]"]["seeds"]
    assert (seeds[0], len(seeds)) == (None, 2)
    assert seeds[1] == scores.whole["mauve[minilm]"]["mean"]
