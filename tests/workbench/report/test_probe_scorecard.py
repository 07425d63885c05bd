"""The scorecard over studies, from what finished studies leave on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.scorecard.predictors import ScorecardConfig
from analyses.statistics.intervals import BootstrapConfig
from workbench.cli.main import main
from workbench.config.presets import PRESETS
from workbench.config.presets.on_two_cores import smoke
from workbench.config.run import RunConfig
from workbench.config.settings import to_dict
from workbench.config.study import StudyConfig
from workbench.errors import InputError
from workbench.report.complement_rows import GAIN, TOGETHER, read_complements
from workbench.report.scorecard import (
    ACCURACY,
    PARAMETERS,
    family_of,
    finished_studies,
    make_scorecard,
    run_table,
    table_rows,
)
from workbench.store.json_files import write_json
from workbench.study.folders import Study

ARMS: dict[str, dict[str, Any]] = {
    "none": {"vae_loss.repa_weight": 0.0},
    "repa": {"vae_loss.repa_weight": 1.0},
    "wide": {"vae_loss.repa_weight": 1.0, "vae.latent_width": 16},
    "narrow": {"vae_loss.repa_weight": 1.0, "vae.latent_width": 4},
    "permuted": {"vae_loss.repa_weight": 1.0, "teacher.permuted": True},
    "noise": {"vae_loss.repa_weight": 0.0, "vae.decoder_noise": 0.5},
}
DIRECTIONS = {
    ACCURACY: True,
    "knn_coherence.token.pos": True,
    "interpolation.frechet": False,
    "alignment.cknna": None,
    "trajectory.straightness": True,
    "latent_map.token": True,
    "learnability.flow_excess": False,
}
FAST = ScorecardConfig(num_permutations=199, bootstrap=BootstrapConfig(num_resamples=100))


def finished(directory: Path, name: str, seed: int = 0, base: RunConfig | None = None) -> Study:
    """A study whose first probe tells everything, and whose third is its mirror image."""
    rng = np.random.default_rng(seed)
    config = StudyConfig(name=name, base=base or smoke().base, arms=ARMS, seeds=(0, 1))
    study = Study(directory / name, config)
    study.directory.mkdir(parents=True)
    write_json(study.directory / "study.json", {"config": to_dict(config)})
    rows = []
    for number, arm in enumerate(ARMS):
        for k in config.seeds:
            quality = number + 0.1 * k
            rows.append(
                {
                    "study": name,
                    "arm": arm,
                    "seed": k,
                    ACCURACY: 0.99 + 0.001 * rng.random(),
                    "knn_coherence.token.pos": quality,
                    "interpolation.frechet": rng.random(),
                    "alignment.cknna": -quality,
                    "trajectory.straightness": quality,
                    "latent_map.token": quality,
                    "learnability.flow_excess": None if arm == "noise" else -quality,
                    "generation.mauve[minilm]": quality / 10,
                    "generation.nats_per_token": -quality,
                    "generation.length": quality,
                    "generation[g2.5].fidelity": quality,
                }
            )
    frame = pd.DataFrame(rows)
    frame.to_parquet(study.directory / "scorecard.parquet", index=False)
    metrics: dict[str, dict[str, Any]] = {
        column: {"mean": 0.0} for column in frame if column.startswith("generation")
    }
    metrics |= {k: {"mean": 0.0, "higher_is_better": v} for k, v in DIRECTIONS.items()}
    write_json(study.directory / "comparison.json", {"arms": dict.fromkeys(ARMS, metrics)})
    return study


def test_the_table_has_a_row_a_run_and_only_probes_that_can_foretell(tmp_path):
    table = run_table([finished(tmp_path, "one")])
    assert len(table.arms) == 12
    assert set(table.probes) == {
        "knn_coherence.token.pos",
        "interpolation.frechet",
        "alignment.cknna",
        "learnability.flow_excess",
    }
    assert list(table.scores) == ["generation.mauve[minilm]", "generation.nats_per_token"]
    assert set(table.baselines) == {ACCURACY, PARAMETERS}
    assert table.higher_is_better["interpolation.frechet"] is False
    assert table.higher_is_better["generation.nats_per_token"] is False
    assert table.higher_is_better["generation.mauve[minilm]"] is True
    missing = np.isnan(table.probes["learnability.flow_excess"])
    assert [arm for arm, gone in zip(table.arms, missing, strict=True) if gone] == ["one/noise"] * 2


def test_families_are_what_an_arm_departs_in(tmp_path):
    study = finished(tmp_path, "one")
    families = {arm: family_of(study.run(arm, 0)) for arm in ARMS}
    assert families["none"] == families["repa"] == "one: vae_loss.repa_weight"
    assert families["wide"] == families["narrow"] == "one: vae.latent_width"
    assert families["permuted"] == "one: teacher.permuted"


def test_the_probe_that_tells_everything_comes_first(tmp_path):
    out = tmp_path / "card.json"
    rows, added = make_scorecard(run_table([finished(tmp_path, "one")]), out, FAST)
    found = {(row.predictor, row.score): row for row in rows}
    mauve, nats = "generation.mauve[minilm]", "generation.nats_per_token"
    assert found["knn_coherence.token.pos", mauve].spearman.value == pytest.approx(1.0)
    assert found["knn_coherence.token.pos", nats].spearman.value == pytest.approx(1.0)
    assert found["alignment.cknna", mauve].spearman.value == pytest.approx(-1.0)
    assert abs(found["interpolation.frechet", mauve].spearman.value or 0) < 0.9
    assert found[PARAMETERS, mauve].reason is not None
    shown = table_rows(rows)
    assert shown[0]["predictor"] in ("knn_coherence.token.pos", "alignment.cknna")
    stored = json.loads(out.read_text())
    assert stored["runs"] == 12
    assert len(stored["rows"]) == len(rows)
    assert [read_complements(body) for body in stored["complements"]] == added
    with pytest.raises(InputError, match="no score 'rouge9'; the scorecard has generation"):
        table_rows(rows, "rouge9")


def test_studies_are_laid_under_each_other(tmp_path):
    studies = [finished(tmp_path, "one"), finished(tmp_path, "two", seed=1)]
    table = run_table(studies)
    assert len(table.arms) == 24
    assert {arm.split("/")[0] for arm in table.arms} == {"one", "two"}
    assert [study.config.name for study in finished_studies(tmp_path)] == ["one", "two"]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("corpus", {"seed": 1}),
        ("flow_training", {"num_steps": 16}),
        ("language_model_training", {"num_steps": 16}),
        ("sampling", {"num_prompts": 25}),
    ],
)
def test_studies_whose_scores_have_no_common_order_are_refused(tmp_path, part, change):
    """One judge's nats are not another's, and longer training writes better with any space."""
    base = smoke().base
    other = replace(base, **{part: replace(getattr(base, part), **change)})
    studies = [finished(tmp_path, "one"), finished(tmp_path, "two", base=other)]
    key = f"{part}.{next(iter(change))}"
    with pytest.raises(InputError, match=rf"'one' and 'two' have no common order.*{key}"):
        run_table(studies)


def test_what_no_score_depends_on_does_not_part_studies(tmp_path):
    base = smoke().base
    other = replace(
        base,
        vae=replace(base.vae, latent_width=16),
        vae_training=replace(base.vae_training, num_steps=9),
        flow_training=replace(base.flow_training, log_every=1),
        sampling=replace(base.sampling, num_traces=1),
    )
    studies = [finished(tmp_path, "one"), finished(tmp_path, "two", base=other)]
    assert len(run_table(studies).arms) == 24


def test_what_cannot_be_laid_together_is_refused(tmp_path):
    one = finished(tmp_path, "one")
    with pytest.raises(InputError, match="two studies are called 'one'"):
        run_table([one, one])
    with pytest.raises(InputError, match="no finished study"):
        run_table([])
    (one.directory / "comparison.json").unlink()
    with pytest.raises(InputError, match="not finished yet; run `study` first"):
        run_table([one])


def test_the_verb_prints_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    finished(tmp_path, "one")
    monkeypatch.setattr("analyses.scorecard.predictors.ScorecardConfig", lambda: FAST)
    assert main(["scorecard", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert "knn_coherence.token.pos" in {row["predictor"] for row in shown["rows"]}
    measures = [row["measure"] for row in shown["complements"]]
    assert measures[-2:] == [TOGETHER, GAIN]
    assert "1 knn_coherence.token.pos" in measures
    assert (tmp_path / "one" / "scorecard.json").is_file()
    assert main(["scorecard", "nowhere"]) == 2


def test_the_preset_sweeps_what_it_says():
    config = PRESETS["scorecard"]()
    assert len(config.arms) == 29
    assert len(config.seeds) == 3
    assert config.base.evaluation.probes == "all"
    changed = {key for overrides in config.arms.values() for key in overrides}
    assert changed >= {
        "vae_loss.repa_weight",
        "vae_loss.beta",
        "vae.latent_width",
        "vae.decoder_noise",
        "teacher.layer",
        "teacher.permuted",
        "teacher.name",
        "vae.repa_site",
        "vae_loss.alignment",
        "vae_loss.repa_stop_step",
    }
    vaes = [config.run(arm, 0) for arm in config.arms]
    assert len({repr((v.vae, v.vae_loss, v.teacher)) for v in vaes}) == len(config.arms)
    assert {repr((v.flow, v.dit, v.flow_training)) for v in vaes} == {
        repr((config.base.flow, config.base.dit, config.base.flow_training))
    }
