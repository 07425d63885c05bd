"""Saving and loading: equal outputs, and refusal of what does not fit."""

import json

import pytest
import test_dit
import test_text_vae
import torch

from models.dit import TextDiT
from models.text_vae import TextVAE


@pytest.fixture(params=["vae", "dit"])
def model(request):
    if request.param == "dit":
        return test_dit.build(seed=3)
    vae = test_text_vae.build(seed=3)
    vae.set_normalisation(torch.arange(4.0), torch.arange(1.0, 5.0))
    return vae


def _output(model):
    if isinstance(model, TextVAE):
        return model.decode_normalised(model.encode(torch.arange(12).unsqueeze(0)).mu)
    x = torch.linspace(-1, 1, 40).view(1, 10, 4)
    return model(x, torch.tensor([0.4]), x.flip(1), torch.arange(10).unsqueeze(0) < 4)


def test_a_saved_model_comes_back_equal(model, tmp_path):
    model.save_pretrained(tmp_path, model_card_kwargs={"metrics": "| accuracy | .99 |"})
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert not loaded.training
    assert torch.equal(_output(loaded), _output(model))
    assert "| accuracy | .99 |" in (tmp_path / "README.md").read_text()


def test_loading_does_not_touch_the_global_random_state(model, tmp_path):
    model.save_pretrained(tmp_path)
    state = torch.random.get_rng_state()
    type(model).from_pretrained(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_unknown_keys_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "widht": 3}))
    with pytest.raises(ValueError, match="unknown keys widht"):
        type(model).from_pretrained(tmp_path)


def test_weights_of_another_size_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "width": 32}))
    with pytest.raises(ValueError, match=r"model.safetensors: weights do not load"):
        type(model).from_pretrained(tmp_path)


def test_a_truncated_file_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"model.safetensors: weights do not load"):
        type(model).from_pretrained(tmp_path)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no config.json"):
        TextDiT.from_pretrained(tmp_path)
    test_dit.build().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="file not found"):
        TextDiT.from_pretrained(tmp_path)
