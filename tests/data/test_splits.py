"""Splits by content: stable, disjoint, and never without something to train on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.splits import SPLITS, TRAIN, Splitter, content_key, split_of


def splitter(valid: float = 0.2, test: float = 0.2) -> Splitter:
    return Splitter(valid_fraction=valid, test_fraction=test)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=30), st.randoms())
def test_a_text_and_its_copies_fall_on_one_side(texts, random):
    dealer = splitter()
    sides: dict[bytes, set[str]] = {}
    for text in texts + texts:
        side = dealer.deal(text)
        if side is not None:
            sides.setdefault(content_key(text), set()).add(side)
    assert all(len(side) == 1 for side in sides.values())


def test_held_out_copies_count_once_and_training_copies_stay():
    texts = [f"text {n}" for n in range(200)]
    dealer = splitter()
    first = [dealer.deal(text) for text in texts]
    again = [dealer.deal(text) for text in texts]
    held_out = [side for side in first if side != TRAIN]
    assert dealer.num_copies == len(held_out) > 0
    assert all(b == (TRAIN if a == TRAIN else None) for a, b in zip(first, again, strict=True))


def test_order_and_length_of_the_corpus_do_not_matter():
    texts = [f"text {n}" for n in range(100)]
    forward, backward = splitter(), splitter()
    sides = {text: forward.deal(text) for text in texts}
    other = {text: backward.deal(text) for text in reversed(texts[:60])}
    differing = [text for text in other if other[text] != sides[text]]
    assert set(differing) <= {texts[0], texts[59]}  # the first of a corpus always trains


def test_shares_are_as_asked():
    sides = [split_of(content_key(str(n)), 0.05, 0.2) for n in range(20_000)]
    shares = [sides.count(name) / len(sides) for name in SPLITS]
    assert np.allclose(shares, [0.75, 0.05, 0.2], atol=0.01)


def test_the_first_document_trains_even_if_its_hash_says_test():
    text = next(t for t in map(str, range(100)) if split_of(content_key(t), 0, 0.5) != TRAIN)
    dealer = splitter(0, 0.5)
    assert [dealer.deal(text), dealer.deal(text)] == [TRAIN, TRAIN]


def test_letter_case_and_white_space_make_no_new_text():
    assert content_key("A  Fox\nran ") == content_key("a fox ran")
    assert content_key("a fox ran") != content_key("afox ran")
