"""An arm that an adapter encoded: its decoder in probes, its generator in samples and scores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from speller import SPELLER

from models.text_vae import TextVAE
from workbench.cli.main import main
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.probes.inputs.adapter_inputs import AdapterInputs
from workbench.probes.run import probe_run
from workbench.report.compare import compare_runs
from workbench.report.scorecard import run_table
from workbench.sample.trajectories import read_trajectory
from workbench.study.folders import Run, Study
from workbench.study.pairing import NOT_PROVED
from workbench.train.adapters import open_adapter

EXAMPLES = Path(__file__).parents[3] / "docs" / "adapters"
DECODING = ("reconstruction", "decoder_basin", "manifold_continuity")


@pytest.fixture
def study(copy_smoke) -> Study:
    return copy_smoke()


@pytest.fixture
def vae(study: Study, tmp_path: Path) -> Path:
    """The weights of a VAE with 16 channels that reads its own tokens back: the trained one's."""
    corpus, folder = study.corpus, tmp_path / "vae"
    config = dataclasses.replace(
        study.config.base.vae,
        vocab_size=corpus.vocab_size,
        window=corpus.window,
        latent_width=16,
        teacher_width=8,
    )
    TextVAE(config, torch.Generator().manual_seed(0)).save_pretrained(folder)
    corpus.tokenizer.save(folder / "tokenizer")
    return folder


def encoded(study: Study, adapter: Path, model: Path | str) -> Run:
    arguments = ["--adapter", str(adapter), "--model", str(model), "--arm", "guest", "--quiet"]
    assert main(["encode", str(study.directory), *arguments]) == 0
    return study.run("guest", 0)


@pytest.fixture
def speller(study: Study, tmp_path: Path) -> tuple[Run, Path]:
    file = tmp_path / "speller.py"
    file.write_text(SPELLER)
    return encoded(study, file, "none"), file


def test_a_vae_of_sixteen_channels_is_probed_by_its_own_decoder(
    study: Study, vae: Path, context: StageContext
) -> None:
    run = encoded(study, EXAMPLES / "text_vae.py", vae)
    before = probe_run(run, context, DECODING)
    assert (
        before["decoder_basin"]["reason"] == "it decodes: run `probe` with --adapter FILE, the "
        "arm's own"
    )
    adapter = open_adapter(str(EXAMPLES / "text_vae.py"), run)
    found = probe_run(run, context, DECODING, adapter)
    # Its own decoder, in its own grid: the logits are those of the model.
    inputs = AdapterInputs(run, context.place, adapter)
    mean, std = inputs.scale
    z = inputs.normalised_mu[:3]
    raw = np.where(inputs.mask[:3, :, None], z * std + mean, 0).astype(np.float32)
    model = TextVAE.from_pretrained(vae).eval()
    with torch.no_grad():
        wanted = model.decode(torch.from_numpy(raw)).numpy()
    np.testing.assert_allclose(inputs.decode(z), wanted, atol=1e-4)
    for name in ("decoder_basin.margin.mu", "decoder_basin.r50.isotropic"):
        assert found[name]["n"] > 0
    assert found["manifold_continuity.frechet"]["score"] is not None
    assert found["reconstruction.token_accuracy"]["score"] is not None
    # What was decoded stays, though nobody names the adapter again.
    assert probe_run(run, context, DECODING) == found


def test_a_decoder_that_gives_texts_only_has_no_basins(
    study: Study, speller: tuple[Run, Path], context: StageContext
) -> None:
    run, file = speller
    found = probe_run(run, context, DECODING, open_adapter(str(file), run))
    assert found["decoder_basin"]["reason"] == "it reads logits: the adapter has no logits(z, mask)"
    read = found["reconstruction.token_accuracy"]
    assert read["score"] == 1
    assert "nll" not in read["detail"] or read["detail"]["nll"] is None
    # A quarter of the way to a neighbour, no text reads as it did.
    curve = found["manifold_continuity.frechet"]["detail"]["curve"]
    assert curve


def test_the_verb_probes_with_the_adapter(study: Study, speller: tuple[Run, Path]) -> None:
    run, file = speller
    name = f"{study.directory}/guest/0"
    only = ["--only", "reconstruction", "--quiet"]
    assert main(["probe", name, "--adapter", str(file), *only]) == 0
    stored = json.loads((run.probes_dir / "reconstruction.json").read_text())["results"]
    assert stored["reconstruction.token_accuracy"]["score"] == 1
    assert main(["probe", f"{study.directory}/none/0", "--adapter", str(file), *only]) == 2


def test_its_generator_continues_prompts_and_is_scored(
    study: Study, speller: tuple[Run, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = speller
    name = f"{study.directory}/guest/0"
    capsys.readouterr()
    asked = ["sample", name, "--prompt", "Anna the fox", "--num-steps", "4", "--json"]
    assert main([*asked, "--adapter", str(file), "--guidance-scale", "1"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["samples"]
    assert told["continuation"] == "the dog saw Ann"
    # Guidance counts both halves; at scale 0 the prompt does not matter.
    assert main([*asked, "--adapter", str(file), "--guidance-scale", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["nfe"] == 8
    assert main(asked) == 2
    assert "--adapter FILE" in capsys.readouterr().err
    assert main(["evaluate", name, "--quiet"]) == 2
    assert main(["sample", name, "--held-out", "--adapter", str(file), "--quiet"]) == 0
    assert main(["evaluate", name, "--quiet"]) == 0
    scores = json.loads(run.evaluation_file.read_text())["guidance"]
    assert all(own["metrics"]["valid_4gram"]["n"] > 0 for own in scores.values())
    # Scored, it has rows in comparisons and the scorecard, with a mark.
    assert main(["probe", name, "--only", "isotropy", "--quiet"]) == 0
    rows = compare_runs(run, study.run("none", 0))
    assert {row["pairing"] for row in rows} == {NOT_PROVED}
    assert {"generation.valid_4gram", "isotropy.mean_cosine"} <= {row["metric"] for row in rows}
    table = run_table([study])
    (place,) = [i for i, arm in enumerate(table.arms) if arm.endswith("/guest")]
    assert table.families[place].endswith(NOT_PROVED)
    headline = next(iter(scores.values()))["metrics"]["valid_4gram"]["mean"]
    assert table.scores["generation.valid_4gram"][place] == pytest.approx(headline)


def test_a_trace_holds_every_text_of_its_way(study: Study, speller: tuple[Run, Path]) -> None:
    run, file = speller
    asked = ["--prompt", "Anna", "the fox", "--num-steps", "4", "--guidance-scale", "1", "--trace"]
    adapter = ["--adapter", str(file), "--quiet"]
    assert main(["sample", f"{study.directory}/guest/0", *asked, *adapter]) == 0
    (stored,) = (run.directory / "traces").glob("*/trajectory.safetensors")
    track, about = read_trajectory(stored)
    assert track.z_t.shape == (4, 2, 24, 2)
    assert track.token_ids.shape == (4, 2, study.corpus.window)
    # It goes straight there, so every estimate reads as the end does.
    assert track.texts == [["the dog saw Ann", "the dog saw the"]] * 4
    assert about["continuations"] == track.texts[-1]


def test_only_what_encoded_an_arm_runs_for_it(study: Study, tmp_path: Path, vae: Path) -> None:
    run = encoded(study, EXAMPLES / "text_vae.py", vae)
    ran = tmp_path / "ran"
    other = tmp_path / "text_vae.py"
    other.write_text(f"open({str(ran)!r}, 'w').close()\n")
    with pytest.raises(InputError, match="is not the code that encoded guest/seed-0"):
        open_adapter(str(other), run)
    with pytest.raises(InputError, match="was not made by `encode`"):
        open_adapter(str(other), study.run("none", 0))
    assert not ran.exists()
    weights = vae / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="changed since it encoded"):
        open_adapter(str(EXAMPLES / "text_vae.py"), run)


def test_no_verb_runs_an_adapter_that_nobody_named(
    study: Study, tmp_path: Path, context: StageContext
) -> None:
    ran = tmp_path / "ran"
    file = tmp_path / "speller.py"
    file.write_text(SPELLER + f"\nopen({str(ran)!r}, 'a').write('x')\n")
    run = encoded(study, file, "none")
    assert ran.read_text() == "x"
    probe_run(run, context, DECODING)
    assert main(["sample", f"{study.directory}/guest/0", "--prompt", "Anna", "--quiet"]) == 2
    assert main(["compare", f"{study.directory}/guest/0", f"{study.directory}/none/0"]) == 0
    assert ran.read_text() == "x"


def test_an_adapter_that_cannot_generate_says_so(
    study: Study, vae: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoded(study, EXAMPLES / "text_vae.py", vae)
    asked = ["sample", f"{study.directory}/guest/0", "--prompt", "Anna", "--quiet"]
    assert main([*asked, "--adapter", str(EXAMPLES / "text_vae.py")]) == 2
    assert "cannot generate, it has no velocity(z_t, t, prompts)" in capsys.readouterr().err
