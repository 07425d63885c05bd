"""What every trainable model promises: shapes, precision, repeatability, and safe storage."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_dit
import test_text_vae
import torch
from torch import nn

from models.causal import prepend_eot
from models.configs.language_model import CausalLMConfig
from models.dit import TextDiT
from models.generators.families import FAMILIES as GENERATORS
from models.language_model import CausalLM

WINDOW = {"vae": 12, "dit": 10, "mmdit": 10, "lm": 9, **dict.fromkeys(GENERATORS, 9)}


@dataclass(frozen=True)
class Family:
    """One kind of model: how it is built from a seed, and what it says of a batch of `n` texts.

    `run` takes the model, a number of texts, and how many positions each has.
    """

    build: Callable[[int], nn.Module]
    run: Callable[[Any, int, int], torch.Tensor]
    shape: tuple[int, ...]


def token_ids(n: int, length: int, vocabulary: int) -> torch.Tensor:
    return torch.arange(n * length).view(n, length) % (vocabulary - 1) + 1


def build_vae(seed: int) -> nn.Module:
    vae = test_text_vae.build(seed)
    vae.set_normalisation(torch.arange(4.0), torch.arange(1.0, 5.0))
    return vae


def build_lm(seed: int) -> nn.Module:
    config = CausalLMConfig(vocab_size=23, window=WINDOW["lm"], width=16)
    return CausalLM(config, torch.Generator().manual_seed(seed)).eval()


def build_writer(name: str, seed: int) -> nn.Module:
    config = GENERATORS[name].network(vocab_size=23, window=WINDOW[name], width=16)
    return GENERATORS[name].model()(config, torch.Generator().manual_seed(seed)).eval()


def latents(n: int, length: int) -> torch.Tensor:
    return (
        torch.linspace(-1, 1, 4 * length).view(1, length, 4) * torch.arange(1, n + 1)[:, None, None]
    )


FAMILIES = {
    "vae": Family(
        build_vae,
        lambda vae, n, length: vae.decode_normalised(vae.encode(token_ids(n, length, 31)).mu),
        (12, 31),
    ),
    "dit": Family(
        test_dit.build,
        lambda dit, n, length: dit(
            latents(n, length), torch.full((n,), 0.4), latents(n, length).flip(1),
            (torch.arange(length) < 4).expand(n, -1),
        ),
        (10, 4),
    ),
    "mmdit": Family(
        lambda seed: test_dit.build(seed, backbone="mmdit"),
        lambda dit, n, length: dit(
            latents(n, length), torch.full((n,), 0.4), latents(n, length).flip(1),
            (torch.arange(length) < 4).expand(n, -1),
        ),
        (10, 4),
    ),
    "lm": Family(
        build_lm, lambda lm, n, length: lm.hidden_states(token_ids(n, length, 23))[-1], (9, 16)
    ),
    "gpt2": Family(
        lambda seed: build_writer("gpt2", seed),
        lambda lm, n, length: lm._hidden(prepend_eot(token_ids(n, length, 23)))[:, 1:], (9, 16),
    ),
    "llada": Family(
        lambda seed: build_writer("llada", seed),
        lambda model, n, length: model.logits(token_ids(n, length, 24)), (9, 23),
    ),
    "block-diffusion": Family(
        lambda seed: build_writer("block-diffusion", seed),
        lambda model, n, length: model.logits(token_ids(n, length, 24)), (9, 23),
    ),
    "ssd-lm": Family(
        lambda seed: build_writer("ssd-lm", seed),
        lambda model, n, length: model.logits(
            token_ids(n, length, 23), torch.zeros(n, model.block_size, 23),
            torch.full((n,), 700), torch.full((n,), 4),
        ),
        (8, 23),
    ),
    "diffusion-lm": Family(
        lambda seed: build_writer("diffusion-lm", seed),
        lambda model, n, length: model._predict(
            model.embedding(token_ids(n, length, 23)), torch.full((n,), 700),
            (torch.arange(length) < 4).expand(n, -1),
        ),
        (9, 64),
    ),
}  # fmt: skip


def shapes_follow_the_batch(name: str, family: Family) -> None:
    for n in (3, 1, 0):
        out = family.run(family.build(0), n, WINDOW[name])
        assert out.shape == (n, *family.shape)
        assert out.dtype == torch.float32
        assert torch.isfinite(out).all()


def a_seed_makes_the_weights_whatever_the_global_state(name: str, family: Family) -> None:
    torch.manual_seed(5)
    first = family.build(7).state_dict()
    torch.manual_seed(6)
    second, other = family.build(7).state_dict(), family.build(8).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def running_changes_nothing(name: str, family: Family) -> None:
    model = family.build(0)
    before = copy.deepcopy(model.state_dict())
    first, second = (family.run(model, 3, WINDOW[name]) for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def a_text_does_not_depend_on_its_neighbours(name: str, family: Family) -> None:
    model = family.build(0)
    alone, together = (family.run(model, n, WINDOW[name])[:1] for n in (1, 3))
    torch.testing.assert_close(alone, together)


def half_precision_agrees(name: str, family: Family) -> None:
    model = family.build(0)
    with torch.no_grad():
        expected = family.run(model, 3, WINDOW[name])
        with torch.autocast("cpu", torch.bfloat16):
            actual = family.run(model, 3, WINDOW[name])
    assert (actual.float() - expected).norm() / expected.norm() < 0.05


def what_is_longer_than_the_window_is_refused(name: str, family: Family) -> None:
    with pytest.raises(ValueError, match="exceeds the model's window"):
        family.run(family.build(0), 1, WINDOW[name] + 1)


CLAUSES = [
    shapes_follow_the_batch,
    a_seed_makes_the_weights_whatever_the_global_state,
    running_changes_nothing,
    a_text_does_not_depend_on_its_neighbours,
    half_precision_agrees,
    what_is_longer_than_the_window_is_refused,
]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_every_model_keeps_every_clause(clause: Callable[[str, Family], None], name: str) -> None:
    clause(name, FAMILIES[name])


class Faulty(nn.Module):
    """Adds its batch's mean and a count of its calls, in a precision that is none."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        noise = 1.0 if torch.is_autocast_enabled("cpu") else 0.0
        return (x + x.mean() + self.calls + noise).double()


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_the_contract_sees_a_planted_fault(clause: Callable[[str, Family], None]) -> None:
    faulty = Family(Faulty, lambda model, n, length: model(latents(n, length)), (10, 4))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        clause("dit", faulty)


@pytest.fixture(params=FAMILIES)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A model of each family and the folder it was saved in."""
    model = FAMILIES[request.param].build(3)
    model.save_pretrained(tmp_path, model_card_kwargs={"metrics": "| accuracy | .99 |"})
    return model, tmp_path


def test_a_saved_model_comes_back_equal(
    stored: tuple[Any, Path], request: pytest.FixtureRequest
) -> None:
    model, folder = stored
    name = request.node.callspec.params["stored"]
    state = torch.random.get_rng_state()
    loaded = type(model).from_pretrained(folder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert loaded.config == model.config
    assert not loaded.training
    first, second = (FAMILIES[name].run(m, 3, WINDOW[name]) for m in (loaded, model))
    assert torch.equal(first, second)
    assert "| accuracy | .99 |" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widht": 3}, "unknown keys widht"),
        ({"width": 32}, r"model.safetensors: weights do not load"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    stored: tuple[Any, Path], changes: dict[str, int], message: str
) -> None:
    model, folder = stored
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message):
        type(model).from_pretrained(folder)


def test_a_truncated_or_missing_file_is_refused(stored: tuple[Any, Path]) -> None:
    model, folder = stored
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"model.safetensors: weights do not load"):
        type(model).from_pretrained(folder)
    path.unlink()
    with pytest.raises(ValueError, match="file not found"):
        type(model).from_pretrained(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config.json"):
        TextDiT.from_pretrained(tmp_path)
