"""Released GPT-2 weights for a corpus's tokens, against transformers on a small saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_pretrained import TEXTS, save_tiny_bert, save_tiny_gpt2, save_tiny_qwen
from tokenizers import Tokenizer
from toy_families import seeded

from models.causal import prepend_eot
from models.configs.generators import NucleusConfig
from models.generators.released import ReleasedGPT2

WINDOW = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return with_end(save_tiny_gpt2(tmp_path_factory.mktemp("released")), 0)


def with_end(folder: Path, token: int) -> Path:
    """The folder, its end-of-text token being another one."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": token}))
    return folder


def kept(folder: Path) -> tuple[list[int], list[str]]:
    """The pieces that some texts use, in an order of their own."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = sorted({i for text in TEXTS for i in tokenizer.encode(text).ids}, reverse=True)
    return ids, [tokenizer.id_to_token(i) for i in ids]


def read(folder: Path, tokens: Any = None, window: int = WINDOW) -> ReleasedGPT2:
    return ReleasedGPT2.from_released(f"hf:{folder}", *(tokens or kept(folder)), window)


def test_logits_are_those_of_transformers_at_the_kept_pieces(folder):
    from transformers import GPT2LMHeadModel

    reference, model = GPT2LMHeadModel.from_pretrained(folder).eval(), read(folder)
    ids, _ = kept(folder)
    original = torch.tensor([reference.config.eos_token_id, 0, *ids])
    texts = torch.randint(2, len(original), (3, WINDOW), generator=seeded())
    with torch.inference_mode():
        expected = reference(original[prepend_eot(texts)]).logits[..., original]
        weight, bias = model.head()
        found = model._hidden(prepend_eot(texts)) @ weight.T + bias
    others = torch.arange(len(original)) != 1
    torch.testing.assert_close(found[..., others], expected[..., others], rtol=1e-4, atol=1e-4)
    assert (found[..., 1] < -1000).all()


def test_it_writes_any_kept_token_but_the_unknown_one(folder):
    model = read(folder)
    nothing = torch.zeros(64, WINDOW, dtype=torch.long)
    generators = [seeded(row) for row in range(64)]
    ends = torch.zeros(64, dtype=torch.long)
    *_, last = model.write(nothing, ends, NucleusConfig(nucleus=1.0), generators)
    assert 1 not in last.token_ids
    assert last.token_ids.max() > 2


def test_other_tokens_weights_or_lengths_are_refused(folder, tmp_path):
    ids, pieces = kept(folder)
    with pytest.raises(ValueError, match=f"its id {ids[0]} is .* there it is 'key'; set teacher"):
        read(folder, (ids, ["key", *pieces[1:]]))
    with pytest.raises(ValueError, match="has 64 positions; the corpus's window of 64 needs one"):
        read(folder, window=64)
    endless = with_end(save_tiny_gpt2(tmp_path / "endless"), 50256)
    with pytest.raises(ValueError, match="no end-of-text token: eos_token_id is 50256"):
        read(endless)
    qwen = save_tiny_qwen(tmp_path / "qwen")
    with pytest.raises(ValueError, match="is qwen3, not a GPT-2"):
        read(qwen, kept(qwen))
    with pytest.raises(ValueError, match="has other tokens than the corpus"):
        read(save_tiny_bert(tmp_path / "bert"), kept(folder))
    with pytest.raises(ValueError, match="does not exist"):
        read(tmp_path / "nowhere", ([1], ["a"]))
