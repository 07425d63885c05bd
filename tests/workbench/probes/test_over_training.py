"""The course of a training: its points, measures that agree with the probes, caching, stopping."""

import dataclasses
import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from analyses.paths.onset import Order
from workbench.cli.main import main
from workbench.errors import DamagedArtefactError, InputError, StopRequested
from workbench.machine.context import StageContext
from workbench.machine.stopping import StopSignal
from workbench.probes.course.onsets import compare_readings, reading_curves
from workbench.probes.course.over_training import (
    is_probed,
    probe_over_training,
    read_course,
    training_points,
)
from workbench.store.json_files import read_json
from workbench.study.folders import Run, Study, open_study
from workbench.study.pairing import digest_weights
from workbench.train.vae import untrained_vae


@pytest.fixture(scope="module")
def probed(smoke, corpus, tmp_path_factory) -> Study:
    """A copy of the smoke study whose two arms are probed over training."""
    import shutil

    from workbench.machine.devices import find_placement

    directory = tmp_path_factory.mktemp("course") / "smoke"
    shutil.copytree(smoke.directory, directory, ignore=shutil.ignore_patterns(".lock"))
    study = open_study(directory)
    for run in study.runs:
        probe_over_training(run, StageContext(find_placement("cpu")))
    return study


def document(run: Run, name: str) -> dict:
    return json.loads((run.over_training_dir / f"{name}.json").read_text())


def test_points_are_the_untrained_the_milestones_and_the_end(smoke, corpus):
    points = training_points(smoke.run("repa", 0))
    assert [point.name for point in points] == [
        *(f"vae-step-{step}" for step in (0, 1, 3, 8)),
        *(f"flow-step-{step}" for step in (0, 1, 3, 8)),
    ]


def test_the_untrained_point_is_what_training_began_with(smoke, corpus, context):
    run = smoke.run("none", 0)
    vae = untrained_vae(run, context.place)
    assert digest_weights(vae) == run.describe()["pairing"]["init.vae"]


def test_the_last_point_is_what_the_probes_found(probed):
    for run in probed.runs:
        found = document(run, "vae-step-8")["results"]
        stored: dict = {}
        for file in run.probes_dir.glob("*.json"):
            stored |= read_json(file)["results"]
        shared = [name for name in found if name in stored]
        assert len(shared) > 30
        for name in shared:
            for key in ("score", "low", "high", "chance"):
                expected = stored[name][key]
                if expected is None:
                    assert found[name][key] is None
                else:
                    assert found[name][key] == pytest.approx(expected, rel=2e-3, abs=2e-3), name


def test_the_last_flow_writes_what_the_run_wrote(probed):
    run = probed.run("repa", 0)
    own = pd.read_parquet(run.over_training_dir / "flow-step-8.parquet")
    samples = pd.read_parquet(run.samples_dir / "g2.parquet")
    assert list(own["continuation"]) == list(samples["continuation"])[: len(own)]
    scores = pd.read_parquet(run.scores_dir / "g2.parquet")
    for name in ("valid_4gram", "nats_per_token", "fidelity"):
        np.testing.assert_allclose(own[name], scores[name][: len(own)], rtol=1e-4)


def test_flow_results_stand_beside_floor_and_control(probed):
    run = probed.run("none", 0)
    results = document(run, "flow-step-3")["results"]
    last = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    flow = next(record for record in last if record["stage"] == "flow")
    assert results["flow.loss"]["chance"] == pytest.approx(flow["floor_gaussian"], rel=1e-6)
    assert results["flow.loss"]["score"] == pytest.approx(flow["loss"], rel=0.25)
    baselines = read_json(run.study.baselines_dir / "baselines.json")
    for name, control in (("valid_4gram", "shuffled_words"), ("fidelity", "wrong_source")):
        expected = baselines[control]["metrics"][name]["mean"]
        assert results[f"generation.{name}"]["chance"] == pytest.approx(expected)


def test_table_holds_every_number(probed):
    run = probed.run("repa", 0)
    table = read_course(run)
    for name in ("vae-step-0", "flow-step-8"):
        found = document(run, name)
        rows = table[(table["stage"] == found["stage"]) & (table["step"] == found["step"])]
        assert dict(zip(rows["measure"], rows["score"].astype(object), strict=True)).keys() == (
            found["results"].keys()
        )
    separable = table[table["measure"] == "linear_separability.pos"]
    assert separable[["score", "low", "high", "chance", "shuffled"]].notna().all(axis=None)


def test_readings_add_up_to_the_accuracy(probed):
    run = probed.run("repa", 0)
    course = read_course(run)
    for name, curve in reading_curves(run).items():
        own = course[course["measure"] == name].sort_values("step")
        accuracy = curve.hits.sum(axis=1) / curve.rows.sum()
        np.testing.assert_allclose(accuracy, own["score"].to_numpy(float))
        assert curve.bar >= own["chance"].iloc[0]


def test_twins_begin_alike_and_are_compared_label_by_label(probed):
    a, b = (reading_curves(probed.run(arm, 0)) for arm in ("repa", "none"))
    assert a.keys() == b.keys()
    assert "linear_separability.pos" in a
    for name in a:
        np.testing.assert_array_equal(a[name].hits[0], b[name].hits[0])
    rows = compare_readings(probed, "repa", "none")
    assert {row["label"] for row in rows} == {n.removeprefix("linear_separability.") for n in a}
    for row in rows:
        assert row["order"] in get_args(Order)
        assert (row["ratio"] is None) == (row["low"] is None)
        assert row["seeds"] == 1


def test_a_second_time_nothing_is_computed(probed, corpus, context, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("workbench.probes.course.measures.probe_vae", refuse)
    monkeypatch.setattr("workbench.probes.course.measures.FlowProbe.probe", refuse)
    run = probed.run("repa", 0)
    assert len(probe_over_training(run, context)) == 8
    file = run.over_training_dir / "vae-step-1.json"
    whole = file.read_text()
    file.write_text(whole.replace('"fingerprint": "', '"fingerprint": "x'))
    with pytest.raises(AssertionError, match="computed again"):
        probe_over_training(run, context)
    file.write_text(whole)


class StopAtOnce(StopSignal):
    @property
    def requested(self) -> bool:
        return True


def test_it_stops_when_asked(copy_smoke, corpus):
    from workbench.machine.devices import find_placement

    run = copy_smoke().run("none", 0)
    with pytest.raises(StopRequested, match="over training"):
        probe_over_training(run, StageContext(find_placement("cpu"), stop=StopAtOnce()))
    assert not is_probed(run)


def test_what_is_no_point_any_more_is_forgotten(probed, corpus, context):
    run = probed.run("none", 0)
    for suffix in ("json", "parquet"):
        (run.over_training_dir / f"vae-step-5.{suffix}").write_text("{}")
    probe_over_training(run, context)
    assert not list(run.over_training_dir.glob("vae-step-5.*"))
    assert (run.over_training_dir / "vae-step-3.json").is_file()


def test_a_damaged_milestone_is_named(copy_smoke, corpus, context):
    run = copy_smoke().run("none", 0)
    (run.vae_dir / "milestones" / "step-3" / "manifest.json").unlink()
    with pytest.raises(DamagedArtefactError, match=r"step-3/manifest\.json"):
        probe_over_training(run, context)


def test_trainings_without_milestones_say_how_to_keep_them(copy_smoke, corpus):
    import shutil

    run = copy_smoke().run("none", 0)
    for directory in (run.vae_dir, run.flow_dir):
        shutil.rmtree(directory / "milestones")
    with pytest.raises(InputError, match=r"base\.vae_training\.milestones"):
        training_points(run)


def test_turning_milestones_on_afterwards_trains_nothing_again(copy_smoke, context):
    from workbench.pipeline.run_study import create_study, run_is_done

    study = copy_smoke()
    base = study.config.base
    training = dataclasses.replace(base.vae_training, milestones=7)
    config = dataclasses.replace(
        study.config, base=dataclasses.replace(base, vae_training=training)
    )
    changed = create_study(config, study.directory)
    assert changed.config.base.vae_training.milestones == 7
    assert all(run_is_done(run) for run in changed.runs)


def test_verb_prints_curves_and_json(probed, capsys):
    run = str(probed.run("repa", 0).directory)
    assert main(["probe", run, "--checkpoints", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "reconstruction.token_accuracy" in shown
    assert "repa against none" in shown
    assert main(["probe", run, "--checkpoints", "--json", "--quiet"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert len(body["points"]) == 8
    assert body["onsets"][0]["against"] == "none"
    assert main(["probe", run, "--checkpoints", "--umap"]) == 2
    assert "--pair and --checkpoints have measures of their own" in capsys.readouterr().err


def test_what_is_logged_of_gradients(smoke):
    for arm in ("none", "repa"):
        log = (smoke.run(arm, 0).directory / "metrics.jsonl").read_text().splitlines()
        records = [r for r in map(json.loads, log) if r["stage"] == "vae"]
        for record in records:
            shares = [record[f"grad_share_{name}"] for name in ("recon", "kl", "repa")]
            assert (shares[2] is None) == (arm == "none")
            assert sum(share or 0 for share in shares) == pytest.approx(1.0)
            assert (record["repa_cosine"] is None) == (arm == "none")
            assert np.isfinite(record["log_snr"])


def test_what_is_not_probed_yet_says_so(smoke):
    assert not is_probed(smoke.run("none", 0))
    with pytest.raises(InputError, match="probe --checkpoints"):
        read_course(smoke.run("none", 0))
