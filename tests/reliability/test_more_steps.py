"""A training that is given more steps goes on from its checkpoint, and all arms go on alike."""

import dataclasses
from pathlib import Path

import pytest
from finishing import finish_with_two_probes
from short_training import (
    NUM_STEPS,
    StopAfter,
    future,
    new_run,
    short_config,
    train,
    with_training,
)

from workbench.config.study import StudyConfig
from workbench.config.training import TrainingConfig
from workbench.errors import InputError, StopRequested
from workbench.pipeline.run_study import run_study
from workbench.report.compare import compare_runs, compare_study
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.study.folders import Study, open_study
from workbench.study.record import create_study
from workbench.train.flow import train_flow
from workbench.train.loop import learning_rate

LONGER = NUM_STEPS + 4


def longer(config: StudyConfig, name: str, num_steps: int) -> StudyConfig:
    """The same study with `num_steps` of one training."""
    training = dataclasses.replace(getattr(config.base, name), num_steps=num_steps)
    return dataclasses.replace(config, base=dataclasses.replace(config.base, **{name: training}))


def change_times(folder: Path) -> list[int]:
    """When each entry below a folder changed last."""
    return sorted(path.stat().st_mtime_ns for path in folder.rglob("*"))


@pytest.mark.parametrize("stopped_at", [NUM_STEPS, 5])
def test_going_on_equals_the_whole_schedule_bit_for_bit(stopped_at, tmp_path):
    """Whether the shorter training had ended or was stopped in its middle."""
    whole = with_training(
        new_run(tmp_path / "whole"), num_steps=LONGER, earlier_num_steps=(NUM_STEPS,)
    )
    train(whole)
    run = new_run(tmp_path / "parts")
    if stopped_at < NUM_STEPS:
        with pytest.raises(StopRequested):
            train(run, StopAfter(stopped_at))
    else:
        train(run)
    create_study(run.study.config, run.study.directory)
    study = create_study(longer(run.study.config, "vae_training", LONGER), run.study.directory)
    assert study.config.base.vae_training.earlier_num_steps == (NUM_STEPS,)
    train(study.run("none", 0))
    found, expected = load_latest(run.vae_dir), load_latest(whole.vae_dir)
    assert found is not None
    assert expected is not None
    assert found.step == LONGER
    assert future(found) == future(expected)
    assert found.state["inexact"] == expected.state["inexact"]
    assert "not those of an uninterrupted training of 12 steps" in found.state["inexact"][0]


def test_another_beginning_is_still_refused(tmp_path):
    run = new_run(tmp_path)
    train(run)
    changed = with_training(run, num_steps=LONGER, earlier_num_steps=(NUM_STEPS,), beta1=0.5)
    with pytest.raises(ValueError, match="another configuration"):
        train(changed)
    with pytest.raises(ValueError, match="another configuration"):
        train(with_training(run, num_steps=LONGER))


def test_the_learning_rate_rises_again_where_it_goes_on():
    short = TrainingConfig(num_steps=40, warmup_steps=10, learning_rate=1.0)
    both = dataclasses.replace(short, num_steps=80, earlier_num_steps=(40,))
    one = dataclasses.replace(short, num_steps=80)
    rates = [learning_rate(step, both) for step in range(80)]
    assert rates[:40] == [learning_rate(step, short) for step in range(40)]
    assert rates[40:] == [learning_rate(step, one) for step in range(40, 80)]
    assert rates[40] > 2 * rates[39]


def test_fingerprints_without_earlier_lengths_are_as_before():
    assert "earlier_num_steps" not in TrainingConfig().identity
    assert TrainingConfig(earlier_num_steps=(3,)).identity["earlier_num_steps"] == [3]


@pytest.mark.parametrize("earlier", [(600,), (0,), (5, 5), (700,)])
def test_lengths_that_do_not_rise_are_refused(earlier):
    with pytest.raises(ValueError, match="earlier_num_steps must rise"):
        TrainingConfig(num_steps=600, earlier_num_steps=earlier)


def test_the_same_command_again_means_the_training_that_went_on(tmp_path):
    run = new_run(tmp_path)
    create_study(run.study.config, tmp_path)
    before = create_study(longer(short_config(), "vae_training", LONGER), tmp_path).config
    assert before.base.vae_training.earlier_num_steps == (), "nothing had begun"
    train(Study(tmp_path, before).run("none", 0))
    for num_steps, earlier in ((20, (LONGER,)), (20, (LONGER,)), (24, (LONGER, 20))):
        create_study(longer(short_config(), "vae_training", num_steps), tmp_path)
        assert open_study(tmp_path).config.base.vae_training.earlier_num_steps == earlier
    with pytest.raises(InputError, match=r"num_steps: 24 -> 20\); use --out"):
        create_study(longer(short_config(), "vae_training", 20), tmp_path)


def test_a_length_that_an_arm_sets_for_itself_is_not_lengthened(tmp_path):
    run = new_run(tmp_path)
    arms = {"none": {"vae_loss.repa_weight": 0.0, "vae_training.num_steps": NUM_STEPS}}
    config = dataclasses.replace(run.study.config, arms=arms)
    study = create_study(config, tmp_path)
    train(study.run("none", 0))
    with pytest.raises(InputError, match=r"base\.vae_training\.num_steps: 8 -> 12"):
        create_study(longer(config, "vae_training", LONGER), tmp_path)


def test_steps_that_would_throw_later_trainings_away_are_refused(copy_smoke):
    study = copy_smoke()
    stored = (study.directory / "study.json").read_bytes()
    with pytest.raises(InputError, match=r"base\.vae_training\.num_steps: .*use --fork"):
        create_study(longer(study.config, "vae_training", 12), study.directory)
    assert (study.directory / "study.json").read_bytes() == stored


def test_a_finished_study_goes_on_and_its_twins_stay_paired(copy_smoke, context):
    study = copy_smoke()
    runs = study.runs
    kept = [change_times(run.vae_dir) for run in runs]
    config = longer(study.config, "flow_training", 12)
    study = create_study(config, study.directory)
    finish_with_two_probes(study, context)
    comparison = read_json(study.directory / "comparison.json")
    assert comparison["paired"] == {"data_order": True, "init": True, "noise": True}
    assert [change_times(run.vae_dir) for run in runs] == kept
    for run in runs:
        flow = load_latest(run.flow_dir)
        assert flow is not None
        assert flow.step == 12
        assert flow.state["inexact"]
    assert run_study(config, study.directory, context).already_done


def test_arms_do_not_pair_while_only_some_went_on(copy_smoke, context):
    study = copy_smoke()
    study = create_study(longer(study.config, "flow_training", 12), study.directory)
    first, second = study.runs
    train_flow(first, context)
    orders = [run.describe()["pairing"]["data_order.flow"] for run in (first, second)]
    assert orders[0] != orders[1]
    for compare in (lambda: compare_runs(first, second), lambda: compare_study(study)):
        with pytest.raises(InputError, match="its scores were made with other settings"):
            compare()


def test_more_steps_of_the_judge_score_the_samples_again(copy_smoke, context):
    study = copy_smoke()
    before = [read_json(run.evaluation_file) for run in study.runs]
    finish_with_two_probes(
        create_study(longer(study.config, "language_model_training", 12), study.directory), context
    )
    for run, old in zip(study.runs, before, strict=True):
        new = read_json(run.evaluation_file)
        (scale,) = new["guidance"]
        nats = [d["guidance"][scale]["metrics"]["nats_per_token"]["mean"] for d in (old, new)]
        assert nats[0] != nats[1]
