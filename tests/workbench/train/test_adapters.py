"""Models from outside through an adapter: the documented examples on small random models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_training import context, new_run, short_config
from tiny_pretrained import WIDTH, save_tiny_t5

from models.text_vae import TextVAE
from workbench.cli.main import main
from workbench.errors import InputError
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.study.bundle import held_out_texts, read_bundle
from workbench.study.folders import Run, Study
from workbench.study.record import create_study
from workbench.train.adapters import Adapter, encode_texts, load_adapter

EXAMPLES = Path(__file__).parents[3] / "docs" / "adapters"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study that has a corpus and nothing else."""
    folder = tmp_path / "study"
    new_run(folder)
    return create_study(short_config(), folder)


def encoded(study: Study, example: str, model: Path) -> tuple[int, Run]:
    arguments = ["--adapter", str(EXAMPLES / example), "--model", str(model), "--arm", "guest"]
    code = main(["encode", str(study.directory), *arguments, "--quiet"])
    return code, study.run("guest", study.config.seeds[0])


def test_elf_reads_the_states_of_a_frozen_t5(study: Study, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, T5EncoderModel

    folder = save_tiny_t5(tmp_path / "t5")
    code, run = encoded(study, "elf_t5.py", folder)
    assert code == 0
    bundle = read_bundle(study.directory / "bundles" / "guest")
    text = bundle.texts[0]
    pieces = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = T5EncoderModel.from_pretrained(folder)(**pieces).last_hidden_state[0]
    assert bundle.mask is not None
    np.testing.assert_allclose(bundle.z[0][bundle.mask[0]], 0.2 * states[:-1].numpy(), atol=1e-5)
    assert bundle.z.shape[2] == WIDTH
    inputs = ProbeInputs(run, context().place)
    assert np.isfinite(inputs.tokens.z).all()
    assert len(inputs.tokens.z) == inputs.mask.sum()


def test_elf_refuses_an_encoder_with_a_gap(study: Study, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = save_tiny_t5(tmp_path / "t5") / "model.safetensors"
    kept = {name: w for name, w in load_file(file).items() if "encoder.block.1." not in name}
    save_file(kept, file, metadata={"format": "pt"})
    code, run = encoded(study, "elf_t5.py", file.parent)
    assert code == 2
    assert run.imported is None


def test_a_text_vae_of_sixteen_channels_encodes_and_reads_back(
    study: Study, tmp_path: Path
) -> None:
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
    code, run = encoded(study, "text_vae.py", folder)
    assert code == 0
    bundle = read_bundle(study.directory / "bundles" / "guest")
    assert bundle.std is not None
    assert bundle.z.shape[2] == 16
    assert bundle.about["provenance"]["texts"] == len(bundle.texts)
    assert run.imported is not None
    assert run.imported["has_spread"]
    inputs = ProbeInputs(run, context().place)
    mean, std = inputs.scale
    ours = inputs.normalised_mu[0][inputs.mask[0]] * std + mean
    assert bundle.mask is not None
    np.testing.assert_allclose(ours, bundle.z[0][bundle.mask[0]], atol=1e-4)


class Echo:
    """Latents of characters that its decoder reads back."""

    def encode(self, texts):
        length = max(map(len, texts))
        codes = np.array([[ord(c) for c in text.ljust(length)] for text in texts], np.float32)
        mask = np.arange(length) < np.array([len(text) for text in texts])[:, None]
        spans = [np.stack([np.r_[: len(t)], np.r_[1 : len(t) + 1]], 1) for t in texts]
        return codes[..., None], mask, spans

    def decode(self, z, mask):
        return [
            "".join(chr(int(c)) for c in row[kept, 0]) for row, kept in zip(z, mask, strict=True)
        ]


def test_the_share_read_back_is_counted(study: Study, tmp_path: Path) -> None:
    texts = held_out_texts(str(study.directory))
    about = encode_texts(adapter_of(Echo(), tmp_path), texts).about["provenance"]
    assert about["texts_read_back"] == about["texts"] == len(texts)
    worse = Echo()
    worse.decode = lambda z, mask: ["x"] * len(z)
    about = encode_texts(adapter_of(worse, tmp_path), texts).about["provenance"]
    assert about["texts_read_back"] == 0


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (None, "no such file"),
        ("", "defines no function load"),
        ("def load(model):\n    return None\n", "no object with encode"),
        ("def load(model):\n    raise KeyError(model)\n", r"load.. failed: KeyError: 'model'"),
        ("import no_such_package\n", "No module named 'no_such_package'"),
    ],
)
def test_what_is_no_adapter_is_refused(tmp_path: Path, source: str | None, wanted: str) -> None:
    file = tmp_path / "adapter.py"
    if source is not None:
        file.write_text(source)
    with pytest.raises(InputError, match=wanted):
        load_adapter(str(file), "model")


def adapter_of(loaded: Any, folder: Path) -> Adapter:
    file = folder / "adapter.py"
    file.write_text("")
    return Adapter(source=str(file), model="none", loaded=loaded)


@pytest.mark.parametrize(
    ("name", "returned", "wanted"),
    [
        ("encode", (np.zeros((1, 2, 3)), np.ones((1, 2)), []), "they must be"),
        ("encode", np.zeros((2, 2, 3)), r"must return \(z, mask, offsets\)"),
        ("decode", ["a"], "decode.. of 2 latents gave 1 texts"),
        ("decode", [1, 2], "must return a list of texts"),
        ("logits", np.zeros((2, 3)), r"they must be \(B, L, V\)"),
        ("velocity", np.zeros((2, 3)), r"at t = 0.5 returned \(2, 3\)"),
        ("velocity", np.full((2, 4, 1), np.nan), "is not finite"),
        ("velocity", KeyError("oops"), "velocity.. failed: KeyError: 'oops'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name, returned, wanted) -> None:
    def answer(*arguments):
        if isinstance(returned, Exception):
            raise returned
        return returned

    broken, z = Echo(), np.zeros((2, 4, 1), np.float32)
    setattr(broken, name, answer)
    adapter = adapter_of(broken, tmp_path)
    calls = {
        "encode": lambda: encode_texts(adapter, ["a", "b"]),
        "decode": lambda: adapter.decode(z, np.ones((2, 4), bool)),
        "logits": lambda: adapter.logits(z, np.ones((2, 4), bool)),
        "velocity": lambda: adapter.velocity(z, 0.5, ["a", "b"]),
    }
    with pytest.raises(InputError, match=wanted) as caught:
        calls[name]()
    assert adapter.source in str(caught.value)
    assert "\n" not in str(caught.value)
