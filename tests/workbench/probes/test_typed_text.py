"""A typed sentence: its length says nothing about where it lies, and unknown words are named."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data.tokenization import UNK_ID, Encoding
from workbench.probes.typed_text import moved_to_whole_texts, unknown_words


@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_space_of_positions_alone_puts_every_length_in_one_place(count):
    rng = np.random.default_rng(0)
    of_position = rng.normal(size=(12, 4))
    positions = np.tile(np.arange(12), 5)
    tokens = of_position[positions]
    moved = moved_to_whole_texts(of_position[:count].mean(axis=0), count, tokens, positions)
    np.testing.assert_allclose(moved, tokens.mean(axis=0), atol=1e-12)


def test_what_is_no_matter_of_position_stays():
    positions = np.tile(np.arange(6), 3)
    tokens = np.ones((18, 2))
    point = np.array([3.0, -1.0])
    np.testing.assert_allclose(moved_to_whole_texts(point, 2, tokens, positions), point)
    bare = moved_to_whole_texts(point, 2, np.zeros((0, 2)), np.zeros(0, np.int64))
    assert bare is point


def test_unknown_words_are_whole_and_named_once():
    text = "Quarks like foxes; quarks, Quarks!"
    spans = [(0, 3), (3, 6), (7, 11), (12, 17), (17, 18), (19, 25), (25, 26), (27, 33), (33, 34)]
    known = [UNK_ID, 7, 8, 9, 10, UNK_ID, 11, UNK_ID, 12]
    encoding = Encoding(token_ids=np.array(known), offsets=np.array(spans))
    tokenizer = SimpleNamespace(unk_id=UNK_ID, encode_batch=lambda texts: [encoding])
    assert unknown_words(SimpleNamespace(tokenizer=tokenizer), text) == ["Quarks", "quarks"]
