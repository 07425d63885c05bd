"""Every preset builds; the paper's sizes are the paper's; each trains a step when made small."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.dit import TextDiT
from models.text_vae import TextVAE
from workbench.cli.main import main
from workbench.config import settings
from workbench.config.presets import PRESETS
from workbench.config.presets.on_two_cores import families
from workbench.config.request import study_config
from workbench.config.study import StudyConfig
from workbench.config.training import TrainingConfig
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.pipeline.catalog import describe
from workbench.pipeline.run_study import prepare_study
from workbench.store.checkpoints import load_latest
from workbench.study.folders import Study
from workbench.study.record import create_study, refuse_unpaired
from workbench.train.flow import train_flow
from workbench.train.vae import train_vae

PAPER_SIZES = {"textldm-114m": 114e6, "textldm-328m": 328e6, "textldm-768m": 768e6}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_builds_and_survives_its_plain_form(name):
    config = PRESETS[name]()
    assert config.name == name
    refuse_unpaired(config)
    assert settings.build(StudyConfig, json.loads(json.dumps(settings.to_dict(config)))) == config
    assert study_config(preset=name) == config
    for arm in config.arms:
        config.run(arm, config.seeds[0])
    (row,) = (row for row in describe("presets") if row["name"] == name)
    assert row["what"].endswith((".", "week or more"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_printed_as_a_file_that_a_study_accepts(name, tmp_path, capsys):
    assert main(["presets", name, "--set", "base.vae.widht=1"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main(["presets", name, "--set", "base.seed=3"]) == 0
    file = tmp_path / "study.yaml"
    file.write_text(capsys.readouterr().out)
    assert study_config(file=str(file)) == study_config(preset=name, overrides=["base.seed=3"])


def test_what_is_no_preset_is_named(capsys):
    assert main(["presets", "dmeo"]) == 2
    assert "no preset 'dmeo'; did you mean demo?" in capsys.readouterr().err
    assert main(["presets", "--set", "base.seed=3"]) == 2
    assert "give its NAME too" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "wanted"), PAPER_SIZES.items())
def test_the_paper_sizes_are_met(name, wanted):
    base = PRESETS[name]().base
    config = dataclasses.replace(
        base.dit, latent_width=base.vae.latent_width, window=base.corpus.window
    )
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in TextDiT(config).parameters())
    assert abs(count / wanted - 1) < 0.05, f"{count / 1e6:.1f} M"


@pytest.mark.parametrize("name", PAPER_SIZES)
def test_the_paper_vae_builds(name):
    config = dataclasses.replace(
        PRESETS[name]().base.vae, vocab_size=32_768, window=512, teacher_width=2048
    )
    with torch.device("meta"):
        vae = TextVAE(config)
    assert sum(parameter.numel() for parameter in vae.parameters()) > 100e6


def reduced(preset: str, **corpus: Any) -> StudyConfig:
    """A preset with everything that costs cut down, and everything else as it is."""
    config = PRESETS[preset]()
    base = config.base
    small: dict[str, Any] = {"num_steps": 1, "batch_size": 4, "warmup_steps": 0, "compile": False}
    changes: dict[str, Any] = {
        "corpus": dataclasses.replace(base.corpus, window=32, **corpus),
        "teacher": dataclasses.replace(base.teacher, name="minilm"),
        "vae": dataclasses.replace(
            base.vae, width=32, encoder_layers=1, decoder_layers=1, heads=2, latent_width=8
        ),
        "dit": dataclasses.replace(base.dit, width=32, layers=1, heads=2),
        "language_model": dataclasses.replace(base.language_model, width=32, layers=1, heads=2),
        "sampling": dataclasses.replace(base.sampling, num_prompts=8),
    }
    for stage in ("vae_training", "flow_training", "language_model_training"):
        changes[stage] = dataclasses.replace(getattr(base, stage), **small)
    return dataclasses.replace(config, base=dataclasses.replace(base, **changes))


def train_a_step(config: StudyConfig, directory: Path, context: StageContext) -> Study:

    study = create_study(config, directory)
    prepare_study(study, context)
    run = study.run("repa", config.seeds[0])
    train_vae(run, context)
    train_flow(run, context)
    for folder in (run.vae_dir, run.flow_dir):
        found = load_latest(folder)
        assert found is not None
        assert found.step == 1
    return study


@pytest.mark.parametrize("name", ["gpu", "textldm-114m"])
@pytest.mark.long
def test_a_reduced_preset_trains(name, tmp_path, context):
    """On docstrings: `gpu`'s own corpus, and real prose in the place of OpenWebText.

    The three paper presets differ in the DiT's size alone, so one of them stands for all.
    """
    source = {"name": "docs", "num_documents": 300, "hf_name": "", "packages": ("numpy",)}
    fractions = {"valid_fraction": 0.1, "test_fraction": 0.2}
    study = train_a_step(reduced(name, **source, **fractions), tmp_path / name, context)
    assert "package" in (study.corpus_dir / "corpus.json").read_text()


def test_the_paper_presets_differ_in_size_alone():
    plain = [settings.to_dict(PRESETS[name]()) for name in PAPER_SIZES]
    for config in plain:
        del config["name"], config["base"]["dit"]
    assert plain[0] == plain[1] == plain[2]


@pytest.mark.slow
def test_compiled_blocks_train(tmp_path, context):
    config = reduced("gpu", num_documents=200, packages=("numpy",), test_fraction=0.2)
    training = dataclasses.replace(config.base.vae_training, compile=True)
    flow = dataclasses.replace(config.base.flow_training, compile=True)
    base = dataclasses.replace(config.base, vae_training=training, flow_training=flow)
    train_a_step(dataclasses.replace(config, base=base), tmp_path / "gpu", context)


def test_a_file_may_start_from_a_preset(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("preset: smoke\nname: mine\nseeds: [3]\nbase: {vae: {latent_width: 4}}\n")
    config = study_config(file=str(file), overrides=("base.vae.width=16",))
    plain = PRESETS["smoke"]()
    assert (config.name, config.seeds) == ("mine", (3,))
    assert config.base.vae == dataclasses.replace(plain.base.vae, latent_width=4, width=16)
    assert config.base.dit == plain.base.dit
    file.write_text("preset: smoke\narms: {only: {vae_loss.repa_weight: 0.5}}\n")
    assert set(study_config(file=str(file)).arms) == {"only"}
    with pytest.raises(InputError, match="give --preset or --config"):
        study_config(preset="smoke", file=str(file))


@pytest.mark.parametrize("name", families().generators)
def test_generators_of_the_preset_match_an_arm_in_size_and_compute(name):
    """At the demo's vocabulary and window, counted as `workbench.report.writers.COST_NOTE` says."""
    base, sizes = families().base, {"vocab_size": 390, "window": 56}

    def count(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    vae = count(TextVAE(dataclasses.replace(base.vae, **sizes, teacher_width=384)))
    dit = count(TextDiT(dataclasses.replace(base.dit, latent_width=32, window=56)))
    own = families().generator(name)
    model = count(own.kind.model()(dataclasses.replace(own.network, **sizes)))
    assert model == pytest.approx(vae + dit, rel=0.1)

    def tokens(training: TrainingConfig) -> int:
        return training.num_steps * training.batch_size

    flow = (6 + 2 * base.flow.self_conditioning_prob) * dit * tokens(base.flow_training)
    arm = 6 * vae * tokens(base.vae_training) + flow
    assert 6 * own.kind.streams * model * tokens(own.training) == pytest.approx(arm, rel=0.1)
