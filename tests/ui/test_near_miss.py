"""A near miss: the words around one word, each once, of other words only, starred by kind."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.probes.spaces import Items
from workbench.ui.sections.why.near_miss import neighbours_of, words_of

NAMES = ["the", "dog", "cat", "runs", "dog", "cat", "hat"]
CODES = np.array([0, 1, 1, 2, 1, 1, -1])


def items(*, labelled: bool = True) -> Items:
    line = np.array([9.0, 0.0, 1.0, 3.0, 0.1, 2.0, 30.0], np.float32)
    labels = {"pos": (CODES, ("det", "noun", "verb"))} if labelled else {}
    ids = np.array([NAMES.index(name) for name in NAMES])
    return Items(
        spaces={"none": np.stack([np.cos(line / 40), np.sin(line / 40)], axis=1)},
        hover=NAMES, names=NAMES, labels=labels, texts=["a text"] * 7, ids=ids,
    )  # fmt: skip


def test_words_are_nouns_in_the_order_of_the_texts():
    assert words_of(items()) == {"dog": 1, "cat": 2}
    assert list(words_of(items(labelled=False))) == ["the", "dog", "cat", "runs", "hat"]


def test_other_words_stand_once_nearest_first_with_their_kind():
    found = neighbours_of(items(), "none", 1)
    assert found == [("cat", True), ("runs", False), ("the", False), ("hat", False)]
    assert [same for _, same in neighbours_of(items(labelled=False), "none", 1)] == [None] * 4
    assert {same for _, same in neighbours_of(items(), "none", 6)} == {None}


@pytest.mark.parametrize("word", ["", "zebra"])
def test_page_shows_the_words_of_both_arms(word, open_page, smoke_runs):
    app = open_page("why", smoke_runs, miss=word)
    assert not app.exception
    assert not app.error
    box = app.selectbox(key="miss")
    shown = " ".join(part.proto.body for part in app.get("html"))
    assert box.value in box.options
    assert shown.count("*") >= 1
