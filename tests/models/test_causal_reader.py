"""Nats and last states of a causal model, against its own loss (to the rounding of bfloat16)."""

import numpy as np
import pytest
import torch
from tiny_pretrained import TEXTS, save_tiny_bert, save_tiny_gpt2
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.causal_reader import CausalReader, load_causal_reader
from models.teachers.pretrained import load_pretrained


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return save_tiny_gpt2(tmp_path_factory.mktemp("models") / "gpt2")


def test_nats_are_the_models_loss_and_the_state_is_the_last(directory):
    read = load_causal_reader(f"hf:{directory}").read(TEXTS, [0] * len(TEXTS), batch_size=2)
    model = AutoModelForCausalLM.from_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for text, nats, state in zip(TEXTS, read.nats_per_token, read.last_states, strict=True):
        ids = torch.tensor([tokenizer.backend_tokenizer.encode(text).ids])
        with torch.no_grad():
            output = model(ids, labels=ids, output_hidden_states=True)
        assert nats == pytest.approx(float(output.loss), rel=0.02)
        np.testing.assert_allclose(state, output.hidden_states[-1][0, -1].numpy(), atol=0.03)


def test_only_what_follows_the_start_is_judged(directory):
    reader = load_causal_reader(f"hf:{directory}")
    text, other = "the key rained", "the key Sam"
    whole, from_key, nothing = reader.read([text] * 3, [0, 7, len(text)]).nats_per_token
    assert np.isnan(nothing)
    assert whole != from_key
    # What comes before the start is read, not judged.
    first, second = reader.read([f"{text} rained", f"{other} rained"], [14, 11]).nats_per_token
    assert first != second


def test_empty_texts_have_a_row_of_zeros(directory):
    read = load_causal_reader(f"hf:{directory}").read(["", "the key"], [0, 0])
    assert np.isnan(read.nats_per_token[0])
    assert not read.last_states[0].any()
    assert read.last_states[1].any()


def test_a_masked_model_is_refused(tmp_path):
    backbone = load_pretrained(f"hf:{save_tiny_bert(tmp_path)}")
    with pytest.raises(ValueError, match="must be causal"):
        CausalReader("bert", backbone)
