"""Latent bundles: out of a run and in again, from other models, damaged and foreign."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.cli.main import main
from workbench.errors import DamagedArtefactError, InputError, exit_code
from workbench.machine.context import StageContext
from workbench.pipeline.run_stage import run_pair
from workbench.probes.catalogue import PROBES, probe_names
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.probes.run import probe_run
from workbench.probes.spaces import held_out_items, read_space
from workbench.study.bundle import (
    DESCRIPTION,
    LATENTS,
    TEXTS,
    Bundle,
    file_hashes,
    held_out_texts,
    read_bundle,
    write_bundle,
)
from workbench.study.folders import Run, Study, find_run, open_study
from workbench.study.pairing import NOT_PROVED
from workbench.train.bundle_arms import export_run, import_bundle

WIDTH = 5
BRINGING = re.compile(r"```python\n([^`]*write_bundle[^`]*)```\s*```\n([^`]*)```")
WORD = re.compile(r"\w+|[^\w\s]+")
ROOT = Path(__file__).parents[3]
# A reader's own file: a VAE whose posterior means come from its words and the text's mean.
OUTSIDE = """import torch
from huggingface_hub import PyTorchModelHubMixin

class TextVAE(torch.nn.Module, PyTorchModelHubMixin):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.words = torch.nn.Embedding(vocabulary, 8)
        self.posterior = torch.nn.Linear(16, 2 * width)

    def encode(self, token_ids, mask):
        states, real = self.words(token_ids), mask[..., None].float()
        mean = (states * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        both = torch.cat([states, mean.expand_as(states)], dim=-1)
        return self.posterior(both).chunk(2, dim=-1)[0]
"""


@pytest.fixture
def study(copy_smoke: Callable[..., Study]) -> Study:
    return copy_smoke()


def test_what_decodes_or_trains_needs_models() -> None:
    lacking = {n for n, probe in PROBES.items() if probe.lacks({"per_token": True}) is not None}
    assert lacking == {
        "reconstruction", "decoder_basin", "decoder_basin_flow", "manifold_continuity",
        "flow_excess", "denoising", "flow_layers", "trajectory", "trajectory_map", "near_misses",
    }  # fmt: skip


def word_bundle(study: Study, seed: int = 0, *, characters: bool = False) -> Bundle:
    """A point for every word or character: other tokens than the study's, without a spread."""
    texts = held_out_texts(str(study.directory))
    spans = []
    for text in texts:
        ends = [i for i, c in enumerate(text) if c == " " or characters] + [len(text)]
        starts = [0, *(end + (not characters) for end in ends[:-1])]
        spans.append(np.array([(s, e) for s, e in zip(starts, ends, strict=True) if e > s]))
    longest = max(map(len, spans))
    mask = np.arange(longest) < np.array([len(row) for row in spans])[:, None]
    z = np.random.default_rng(seed).normal(2, 3, (len(texts), longest, WIDTH)).astype(np.float32)
    return Bundle(texts=texts, z=z, mask=mask, offsets=spans, about={"provenance": {"by": "us"}})


def text_bundle(study: Study) -> Bundle:
    texts = held_out_texts(str(study.directory))
    z = np.random.default_rng(1).normal(size=(len(texts), WIDTH)).astype(np.float32)
    return Bundle(texts=texts, z=z)


def imported(study: Study, bundle: Bundle, folder: Path, arm: str = "guest") -> Run:
    return import_bundle(write_bundle(folder, bundle), study, arm)


def test_an_exported_run_comes_back_with_the_same_numbers(
    study: Study, tmp_path: Path, context: StageContext
) -> None:
    own = study.run("repa", 0)
    run = import_bundle(export_run(own, tmp_path / "out", context.place), study, "guest")
    names = probe_names("quick")
    known, found = probe_run(own, context, names), probe_run(run, context, names)
    assert all(
        file.is_file() for file in map(own.probes_dir.joinpath, (f"{n}.json" for n in names))
    )
    without_models = {n for n in names if PROBES[n].lacks({"per_token": True}) is not None}
    compared = 0
    for name in set(names) - without_models:
        stored = json.loads((run.probes_dir / f"{name}.json").read_text())["results"]
        for result in stored:
            assert found[result] == known[result], result
            compared += 1
    assert compared > 20
    for name in without_models:
        assert found[PROBES[name].metrics]["reason"].endswith("latents without models")


@pytest.mark.parametrize("characters", [False, True], ids=["words", "characters"])
def test_tokens_of_another_kind_are_averaged_onto_ours(
    study: Study, tmp_path: Path, context: StageContext, characters: bool
) -> None:
    bundle = word_bundle(study, characters=characters)
    run = imported(study, bundle, tmp_path / "words")
    inputs = ProbeInputs(run, context.place)
    mean, std = inputs.scale
    split = study.corpus.split("test")
    assert bundle.offsets is not None
    for row in range(3):
        for place, (start, end) in enumerate(split.token_offsets([row])[0]):
            words = [
                bundle.z[row, i]
                for i, (s, e) in enumerate(bundle.offsets[row])
                if min(e, end) > max(s, start)
            ]
            if end > start:
                ours = inputs.normalised_mu[row, place] * std + mean
                np.testing.assert_allclose(ours, np.mean(words, axis=0), atol=1e-5)
    real = inputs.normalised_mu[inputs.mask]
    assert abs(real.mean()) < 0.1
    results = probe_run(run, context, ("scale", "isotropy", "linear_separability", "learnability"))
    assert results["scale"]["reason"] == "the bundle gives no posterior spread (std)"
    shape = [r for name, r in results.items() if name.startswith("isotropy")]
    assert shape
    assert all(result["score"] is not None for result in shape)
    assert not (inputs.is_target & ~inputs.mask).any(), "nothing was encoded after the text's end"


def test_one_latent_per_text_is_probed_as_texts(
    study: Study, tmp_path: Path, context: StageContext
) -> None:
    bundle = text_bundle(study)
    run = imported(study, bundle, tmp_path / "texts")
    inputs = ProbeInputs(run, context.place)
    mean, std = inputs.scale
    np.testing.assert_allclose(inputs.text_features * std + mean, bundle.z[inputs.rows], atol=1e-5)
    names = ("latent_map", "isotropy", "knn_coherence", "intrinsic_dimension")
    results = probe_run(run, context, (*names, "linear_separability", "velocity_information"))
    assert results["latent_map.text"]["score"] is not None
    assert "latent_map.token" not in results
    assert results["isotropy"]["reason"] == "the bundle has one latent per text, none per token"
    spaces = {"none": read_space(study.run("none", 0), context.place)}
    spaces["guest"] = read_space(run, context.place)
    assert len(held_out_items(spaces, None, study.corpus, "texts").spaces["guest"]) == len(
        inputs.rows
    )
    with pytest.raises(InputError, match="one latent per text"):
        held_out_items(spaces, None, study.corpus, "tokens")


def test_bundles_are_compared_like_twins_and_marked(
    study: Study, tmp_path: Path, context: StageContext
) -> None:
    first = imported(study, word_bundle(study, 0), tmp_path / "a", "first")
    imported(study, word_bundle(study, 1), tmp_path / "b", "second")
    assert study.all_arms[-2:] == ["first", "second"]
    for other in ("second", "none"):
        found = run_pair(first, other, context)
        assert found["pairing"] == NOT_PROVED
        assert found["results"]["alignment.linear_cka.text"]["score"] is not None
        assert "displacement.token" in found["results"]
    assert "pairing" not in run_pair(study.run("none", 0), "repa", context)


def test_a_bundle_stands_beside_any_seed_of_the_study(study: Study, tmp_path: Path) -> None:
    two = dataclasses.replace(study, config=dataclasses.replace(study.config, seeds=(0, 1)))
    folder = write_bundle(tmp_path / "out", text_bundle(study))
    first, second = (import_bundle(folder, two, "guest", seed) for seed in (None, 1))
    assert (first.name, second.name) == ("guest/seed-0", "guest/seed-1")
    assert [run.name for run in two.imported] == ["guest/seed-0", "guest/seed-1"]
    assert second.config.seed == 1
    assert two.all_arms.count("guest") == 1
    with pytest.raises(InputError, match=r"--seed 7: .* the study has \[0, 1\]"):
        import_bundle(folder, two, "guest", 7)


def test_a_study_with_an_imported_arm_stays_done(study: Study, tmp_path: Path) -> None:
    from workbench.pipeline.run_study import run_is_done

    imported(study, text_bundle(study), tmp_path / "texts")
    assert all(run_is_done(run) for run in study.runs)
    assert "guest" not in {run.arm for run in study.runs}
    assert find_run(f"{study.directory}/guest/0").imported is not None


@pytest.mark.long
def test_the_lines_of_the_readme_bring_a_model_to_the_map(
    study: Study, tmp_path: Path, context: StageContext
) -> None:
    """The blocks run as they stand, given a model, its weights and a study called demo."""
    found = BRINGING.search((ROOT / "README.md").read_text())
    assert found is not None
    code, verbs = found.groups()
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    study.directory.rename(tmp_path / "demo")
    save_outside_vae(tmp_path, held_out_texts(str(tmp_path / "demo")))
    (tmp_path / "script.py").write_text(code)
    environment = {
        **os.environ, "WORKBENCH_RUNS": str(tmp_path), "PYTHONPATH": f"{ROOT}:{tmp_path}"
    }  # fmt: skip
    lines = [line.partition("#")[0].split()[1:] for line in verbs.strip().splitlines()[:2]]
    for arguments in (["script.py"], *lines):
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, check=True)
    demo = open_study(tmp_path / "demo")
    run = demo.run("my-vae", 0)
    assert json.loads((run.probes_dir / "isotropy.json").read_text())["results"]
    spaces = {arm: read_space(demo.run(arm, 0), context.place) for arm in ("repa", "my-vae")}
    items = held_out_items(spaces, None, demo.corpus, "tokens")
    assert len(items.spaces["my-vae"]) == len(items.spaces["repa"]) > 100


def save_outside_vae(folder: Path, texts: list[str]) -> None:
    """`my_models.py`, and its random weights and tokeniser in `weights`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    (folder / "my_models.py").write_text(OUTSIDE)
    names = ["[PAD]", "[CLS]", "[UNK]", *sorted({w for text in texts for w in WORD.findall(text)})]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("[CLS] $A", None, [("[CLS]", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")
    tokenizer.save_pretrained(folder / "weights")
    outside = runpy.run_path(str(folder / "my_models.py"))["TextVAE"]
    torch.manual_seed(0)
    outside(vocabulary=len(names), width=WIDTH).save_pretrained(folder / "weights")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (lambda d: flip(d / LATENTS), "not the file that"),
        (lambda d: flip(d / TEXTS), "not the file that"),
        (lambda d: (d / LATENTS).write_bytes((d / LATENTS).read_bytes()[:-9]), "not the file that"),
        (lambda d: (d / TEXTS).unlink(), "is missing"),
        (lambda d: (d / DESCRIPTION).write_text("{"), DESCRIPTION),
    ],
    ids=["latents", "texts", "truncated", "missing", "description"],
)
def test_a_damaged_bundle_is_refused_by_name(
    smoke: Study, tmp_path: Path, damage: Callable[[Path], object], wanted: str
) -> None:
    folder = write_bundle(tmp_path / "bundle", text_bundle(smoke))
    damage(folder)
    with pytest.raises(DamagedArtefactError, match=wanted) as caught:
        read_bundle(folder)
    assert str(folder) in str(caught.value)
    assert exit_code(caught.value) == 3


def reseal(folder: Path, **about: Any) -> None:
    document = json.loads((folder / DESCRIPTION).read_text())
    document |= {"files": file_hashes(folder), **about}
    (folder / DESCRIPTION).write_text(json.dumps(document))


def rewrite(folder: Path, **tensors: np.ndarray) -> None:
    from safetensors.numpy import save_file

    save_file(tensors, folder / LATENTS)
    reseal(folder)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda d: rewrite(d, y=np.zeros((2, 3))), "no tensor z"),
        (lambda d: rewrite(d, z=np.zeros((2, 3))), r"z must be \(\d+, L, D\)"),
        (lambda d: rewrite(d, z=np.zeros((2, 3)), spam=np.zeros(1)), "no tensor spam"),
        (lambda d: rewrite(d, z=np.zeros((2, 3), np.int64)), "must be of floats"),
        (lambda d: reseal(d, schema=99, needs_release="9.9"), "install release 9.9"),
        (lambda d: reseal(d, files={}), "sha256"),
        (lambda d: (d / DESCRIPTION).unlink(), "no latent bundle here"),
    ],
)
def test_a_foreign_bundle_is_refused_in_one_line(
    smoke: Study, tmp_path: Path, change: Callable[[Path], object], wanted: str
) -> None:
    folder = write_bundle(tmp_path / "bundle", text_bundle(smoke))
    change(folder)
    with pytest.raises(InputError, match=wanted) as caught:
        read_bundle(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_that_are_not_finite_name_their_row(smoke: Study) -> None:
    bundle = text_bundle(smoke)
    bundle.z[3, 0] = np.nan
    with pytest.raises(InputError, match="z is not finite in row 3"):
        Bundle(texts=bundle.texts, z=bundle.z)


def test_a_pickle_in_place_of_a_bundle_gets_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "latents.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"latents\.pt is a pickle, convert it"):
        read_bundle(tmp_path)


def test_other_texts_tokens_and_names_are_refused(study: Study, tmp_path: Path) -> None:
    words = word_bundle(study)
    texts = [f"{text}!" for text in words.texts]
    with pytest.raises(InputError, match=r"the bundle lacks .* held-out texts"):
        imported(study, Bundle(texts=texts, z=words.z[:, 0]), tmp_path / "other")
    bare = Bundle(texts=words.texts, z=words.z, mask=words.mask)
    with pytest.raises(InputError, match="starts and ends"):
        imported(study, bare, tmp_path / "bare")
    assert words.mask is not None
    short = [row[:1] for row in words.offsets or ()]
    first = np.arange(words.mask.shape[1]) < 1
    cut = Bundle(texts=words.texts, z=words.z, mask=words.mask & first, offsets=short)
    with pytest.raises(InputError, match="no latent for characters"):
        imported(study, cut, tmp_path / "cut")
    for arm in ("none", "../up", "a b"):
        with pytest.raises(InputError, match="--arm"):
            imported(study, text_bundle(study), tmp_path / "named", arm)
    assert not study.imported


def test_the_verbs_export_import_and_probe(
    study: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    out, run = "~/out", f"{study.directory}/none/0"
    assert main(["export", run, "--out", out, "--quiet"]) == 0
    assert main(["import", out, "--study", str(study.directory), "--arm", "guest"]) == 0
    assert "guest/0" in capsys.readouterr().out
    guest = f"{study.directory}/guest/0"
    assert main(["probe", guest, "--only", "isotropy,reconstruction", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["compare", guest, f"{study.directory}/repa/0"]) == 0
    shown = capsys.readouterr().out
    assert "isotropy" in shown
    assert NOT_PROVED in shown
    assert main(["export", guest, "--out", out, "--quiet"]) == 2
    shutil.rmtree(tmp_path / "out")
    assert main(["import", out, "--study", str(study.directory)]) == 2
