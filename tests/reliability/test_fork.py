"""A fork copies what is the same under other settings and trains the rest; the old one stays."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finishing import finish_with_two_probes

from workbench.cli.main import main
from workbench.config.arms import STANDARD_ARMS
from workbench.config.settings import to_dict
from workbench.config.study import StudyConfig
from workbench.errors import DamagedArtefactError, InputError, StopRequested
from workbench.machine.stopping import StopSignal
from workbench.pipeline.fork import fork_study
from workbench.pipeline.verify import verify_path
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.store.lock import run_lock
from workbench.store.manifest import MANIFEST
from workbench.study.folders import Study, open_study

Make = Callable[..., Study]


def content(directory: Path) -> dict[str, str]:
    """Every file below a directory by the hash of its bytes."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def without_repa_weight(config: StudyConfig) -> StudyConfig:
    """The study with another weight of the alignment in its second arm, and a third arm."""
    arms = {**config.arms, "repa": {"vae_loss.repa_weight": 0.5}, "more": STANDARD_ARMS["permuted"]}
    return dataclasses.replace(config, arms=arms)


def with_longer(config: StudyConfig, name: str, num_steps: int) -> StudyConfig:
    training = dataclasses.replace(getattr(config.base, name), num_steps=num_steps)
    return dataclasses.replace(config, base=dataclasses.replace(config.base, **{name: training}))


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the trainings that took a step, in order, in this process."""
    from workbench.train import flow as train_flow
    from workbench.train import language_model as train_language_model
    from workbench.train import loop as training
    from workbench.train import vae as train_vae

    seen: list[str] = []
    fit = training.fit

    def watched(task: Any, config: Any, directory: Path, *given: Any, **options: Any) -> Any:
        parent = "" if directory.name == "language_model" else f"{directory.parts[-3]}/"
        seen.append(f"{parent}{directory.name}")
        return fit(task, config, directory, *given, **options)

    for module in (train_vae, train_flow, train_language_model):
        monkeypatch.setattr(module, "fit", watched)
    return seen


def test_unchanged_arms_are_taken_over_and_changed_ones_trained(smoke, tmp_path, context, trained):
    before = content(smoke.directory)
    config = fork_study(smoke, without_repa_weight(smoke.config), tmp_path / "new", context)
    study = open_study(tmp_path / "new")
    assert study.config == config
    finish_with_two_probes(study, context)
    assert trained == ["repa/vae", "repa/flow", "more/vae", "more/flow"]
    assert content(smoke.directory) == before
    old, new = smoke.run("none", 0), study.run("none", 0)
    for folder in ("vae_dir", "flow_dir", "latents_dir", "samples_dir", "scores_dir"):
        assert content(getattr(new, folder)) == content(getattr(old, folder)), folder
    for path in new.directory.rglob("*"):
        twin = old.directory / path.relative_to(new.directory)
        if path.is_file() and twin.is_file():
            assert path.stat().st_ino != twin.stat().st_ino, "copied, not linked"
    assert read_json(new.evaluation_file) == read_json(old.evaluation_file)
    comparison = read_json(study.directory / "comparison.json")
    assert comparison["paired"] == {"data_order": True, "init": True, "noise": True}
    assert verify_path(study.directory).sound


def test_the_new_study_says_where_it_comes_from(smoke, tmp_path, context):
    fork_study(smoke, without_repa_weight(smoke.config), tmp_path / "new", context)
    origin = read_json(tmp_path / "new" / "study.json")["forked_from"]
    assert origin["study"] == str(smoke.directory)
    assert origin["fingerprint"] == read_json(smoke.directory / "study.json")["fingerprint"]
    reused = set(origin["reused"])
    assert {"corpus", "language_model/step-8", "references", "baselines"} <= reused
    assert {"arms/none/seed-0/vae/step-8", "arms/none/seed-0/scores"} <= reused
    assert not [name for name in reused if "repa" in name or "more" in name]


@pytest.mark.parametrize(
    ("key", "kept", "gone"),
    [
        ("corpus.num_documents", set(), {"corpus"}),
        ("teacher.layer", {"none/seed-0/scores"}, {"repa/seed-0/vae/step-8"}),
        ("dit.width", {"repa/seed-0/latents"}, {"repa/seed-0/flow/step-8"}),
        ("sampling.num_prompts", {"repa/seed-0/flow/step-8"}, {"repa/seed-0/scores"}),
    ],
)
def test_what_stands_on_a_changed_setting_is_made_anew(key, kept, gone, smoke, tmp_path, context):
    part, name = key.split(".")
    component = getattr(smoke.config.base, part)
    value = {"layer": -2, "width": 2 * getattr(component, "width", 0)}.get(name)
    value = value or getattr(component, name) - 1
    component = dataclasses.replace(component, **{name: value})
    base = dataclasses.replace(smoke.config.base, **{part: component})
    config = dataclasses.replace(smoke.config, base=base)
    fork_study(smoke, config, tmp_path / "new", context)
    found = read_json(tmp_path / "new" / "study.json")["forked_from"]["reused"]
    reused = {entry.removeprefix("arms/") for entry in found}
    assert kept <= reused
    assert not gone & reused


def test_more_steps_go_on_in_the_fork(smoke, tmp_path, context, trained):
    before = content(smoke.directory)
    config = with_longer(smoke.config, "vae_training", 12)
    config = fork_study(smoke, config, tmp_path / "new", context)
    assert config.base.vae_training.earlier_num_steps == (8,)
    finish_with_two_probes(open_study(tmp_path / "new"), context)
    assert trained == ["none/vae", "none/flow", "repa/vae", "repa/flow"]
    for run in open_study(tmp_path / "new").runs:
        vae = load_latest(run.vae_dir)
        assert vae is not None
        assert vae.step == 12
        assert "went on at step 8" in vae.state["inexact"][0]
    comparison = read_json(tmp_path / "new" / "comparison.json")
    assert comparison["paired"] == {"data_order": True, "init": True, "noise": True}
    assert content(smoke.directory) == before


def test_an_interrupted_fork_copies_the_rest_when_run_again(smoke, tmp_path, context):
    class After(StopSignal):
        left = 4

        def check(self, where: str) -> None:
            After.left -= 1
            if After.left < 0:
                raise StopRequested(where)

    stopping = dataclasses.replace(context, stop=After())
    with pytest.raises(StopRequested):
        fork_study(smoke, smoke.config, tmp_path / "new", stopping)
    assert not (tmp_path / "new" / "arms").exists()
    fork_study(smoke, smoke.config, tmp_path / "new", context)
    study = open_study(tmp_path / "new")
    assert read_json(study.run("repa", 0).evaluation_file)
    for run in study.runs:
        assert run.describe()["pairing"] == smoke.run(run.arm, run.seed).describe()["pairing"]


def test_what_is_damaged_is_not_taken_over(copy_smoke, tmp_path, context):
    study = copy_smoke()
    file = study.run("none", 0).latents_dir / "train-mu.npy"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(DamagedArtefactError, match=r"train-mu\.npy"):
        fork_study(study, study.config, tmp_path / "new", context)
    assert not (open_study(tmp_path / "new").run("none", 0).latents_dir / MANIFEST).exists()


def test_the_same_folder_another_study_and_a_busy_one_are_refused(
    smoke, copy_smoke, tmp_path, context
):
    with pytest.raises(InputError, match="a fork is a new study"):
        fork_study(smoke, smoke.config, smoke.directory, context)
    other = copy_smoke(name="other")
    with pytest.raises(InputError, match="is a study already, but not a fork of"):
        fork_study(smoke, smoke.config, other.directory, context)
    with run_lock(other.directory), pytest.raises(InputError, match="in use by pid"):
        fork_study(other, other.config, tmp_path / "new", context)
    assert not (tmp_path / "new" / "corpus").exists()


def test_the_command_forks_under_the_old_settings(smoke, tmp_path, capsys):
    """Nothing is changed but a harmless key, so all is taken over and only compared again."""
    folder = str(tmp_path / "new")
    arguments = ("study", "--fork", str(smoke.directory), "--set", "loggers=[]", "--out", folder)
    assert main([*arguments, "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == folder
    stored = to_dict(open_study(Path(folder)).config)
    assert stored == {**to_dict(smoke.config), "loggers": []}
    old, new = (read_json(d / "comparison.json") for d in (smoke.directory, Path(folder)))
    assert new["arms"] == old["arms"]
    assert main([*arguments, "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["already_done"]


def test_a_fork_needs_a_study(capsys, tmp_path):
    assert main(["study", "--fork", str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    assert "study.json is missing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
