"""A run that was scored by a release which did not know a score yet, beside one that has it."""

import shutil

import pandas as pd
import pytest

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
