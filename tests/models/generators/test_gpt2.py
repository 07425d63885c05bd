"""GPT-2 against transformers: logits with and without a cache, loss, greedy writing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy_families import CTX_LEN, VOCABULARY, WINDOW, build, prompts, seeded

from models.causal import prepend_eot
from models.configs.generators import (
    NucleusConfig,
    TokenNetworkConfig,
)
from models.generators.gpt2 import GPT2, from_transformers
from models.key_value_cache import KeyValueCache


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Any:
    """A small model as transformers saves and loads it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=WINDOW + 1, n_embd=32, n_layer=2, n_head=4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = GPT2LMHeadModel(config)
        for module in model.modules():  # gains and offsets that a mix-up would show
            if isinstance(module, torch.nn.LayerNorm):
                torch.nn.init.normal_(module.weight)
                torch.nn.init.normal_(module.bias)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return GPT2LMHeadModel.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def own(reference) -> GPT2:
    sizes = TokenNetworkConfig(vocab_size=VOCABULARY, window=WINDOW, width=32, layers=2)
    model = GPT2(sizes).eval()
    model.load_state_dict(from_transformers(reference.state_dict()))
    return model


def test_gpt2_has_the_logits_of_transformers(reference, own):
    inputs = prepend_eot(prompts())
    with torch.inference_mode():
        expected = reference(inputs).logits
        weight, bias = own.head()
        found = own._hidden(inputs) @ weight.T + bias
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefill", [0, 1, 5])
def test_gpt2_has_them_with_its_cache(reference, own, prefill):
    token_ids = prompts()
    with torch.inference_mode():
        expected = reference(prepend_eot(token_ids)).logits
        cache = KeyValueCache(own.num_layers, WINDOW + 1)
        found = own._next_logits(prepend_eot(token_ids[:, :prefill]), cache)
        torch.testing.assert_close(found, expected[:, prefill], rtol=1e-4, atol=1e-4)
        for position in range(prefill, WINDOW):
            found = own._next_logits(token_ids[:, position : position + 1], cache)
            torch.testing.assert_close(found, expected[:, position + 1], rtol=1e-4, atol=1e-4)


def test_gpt2_loss_is_that_of_transformers_on_full_windows(reference, own):
    token_ids = prompts()
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    inputs = prepend_eot(token_ids)
    expected = reference(inputs, labels=inputs).loss
    torch.testing.assert_close(own.training_loss(token_ids, mask, seeded())["loss"], expected)


def test_gpt2_starts_as_its_paper_says():
    model = build("gpt2")
    assert model.h[0].attn.c_proj.weight.std().item() == pytest.approx(0.02 / 2, rel=0.1)
    assert model.h[0].attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_gpt2_writes_what_transformers_would_take_greedily(reference, own):
    sampling = NucleusConfig(nucleus=1e-9)
    found = list(own.write(prompts(), CTX_LEN, sampling, [seeded() for _ in range(4)]))[-1]
    expected = torch.zeros_like(prompts())
    for row, given in enumerate(CTX_LEN):
        expected[row, :given] = prompts()[row, :given]
        for position in range(int(given), WINDOW):
            with torch.inference_mode():
                logits = reference(prepend_eot(expected[row : row + 1, :position])).logits
            expected[row, position] = logits[0, -1].argmax()
            if expected[row, position] == 0:
                break
    assert torch.equal(found.token_ids, expected)
