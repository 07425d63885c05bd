"""Single stages: how far each is, that one is made again and no more, and that done is said."""

import dataclasses
import json
import shutil

import pytest

from data.corpus_store import Corpus
from workbench.cli import main as cli
from workbench.cli.output import ALREADY_DONE
from workbench.errors import InputError
from workbench.pipeline.run_stage import run_stage
from workbench.pipeline.stages import OF_A_RUN, STAGES
from workbench.study.folders import Run


@pytest.fixture
def run(copy_smoke) -> Run:
    return copy_smoke().run("repa", 0)


def done(run: Run, corpus: Corpus) -> dict[str, bool]:
    return {stage.name: stage.state(run).is_done for stage in OF_A_RUN}


def test_every_stage_of_a_finished_run_is_done(smoke, corpus):
    assert all(done(smoke.run("none", 0), corpus).values())


def test_state_counts_what_is_there(run, corpus):
    shutil.rmtree(run.samples_dir)
    next(run.probes_dir.glob("*.json")).unlink()
    run.evaluation_file.unlink()
    states = {stage.name: stage.state(run) for stage in OF_A_RUN}
    assert [name for name, state in states.items() if not state.is_done] == [
        "samples",
        "probes",
        "evaluation",
    ]
    assert states["probes"].done == states["probes"].total - 1
    assert states["vae"].done == run.config.vae_training.num_steps


def test_damaged_or_foreign_checkpoint_does_not_count(run, corpus):
    weights = next(run.vae_dir.glob("step-*")) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert STAGES["vae"].state(run).done == 0
    assert STAGES["flow"].state(run).is_done
    run.__dict__["config"] = dataclasses.replace(run.config, seed=7)
    assert STAGES["flow"].state(run).done == 0


def test_named_probes_count_alone(run, corpus):
    (run.probes_dir / "scale.json").unlink()
    assert STAGES["probes"].state(run, ["isotropy"]).is_done
    assert not STAGES["probes"].state(run, ["scale"]).is_done


def test_stage_is_made_again_alone_and_then_said_to_be_done(run, corpus, context):
    shutil.rmtree(run.samples_dir)
    scores = (run.scores_dir / "manifest.json").stat().st_mtime_ns
    assert run_stage(run, "samples", context)["already_done"] is False
    assert STAGES["samples"].state(run).is_done
    assert (run.scores_dir / "manifest.json").stat().st_mtime_ns == scores
    assert run_stage(run, "samples", context)["already_done"] is True


def test_verb_says_that_a_stage_is_done(run, capsys):
    assert cli.main(["sample", str(run.directory), "--held-out", "--quiet"]) == 0
    assert ALREADY_DONE in capsys.readouterr().out
    assert cli.main(["evaluate", str(run.directory), "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["already_done"] is True


@pytest.mark.parametrize(
    "options", [["--prompt", "x"], ["--trace"], ["--guidance-scale", "0"], ["--seed", "1"]]
)
def test_held_out_prompts_take_the_settings_of_the_study(options, smoke, capsys):
    run = str(smoke.run("none", 0).directory)
    assert cli.main(["sample", run, "--held-out", *options]) == InputError.exit_code
    assert "--held-out" in capsys.readouterr().err


def test_study_goes_on_under_its_own_settings(copy_smoke, tmp_path, capsys):
    directory = copy_smoke().directory
    assert cli.main(["study", "--out", str(directory), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["already_done"] is True
    assert cli.main(["study", "--out", str(tmp_path / "none")]) == 2
    assert "--preset" in capsys.readouterr().err
