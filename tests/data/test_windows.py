"""Cutting: nothing is lost, nothing is too long, and cuts fall at borders where there are some."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.corpora import CorpusConfig
from data.corpus_writer import make_windows
from data.tokenization import build_tokenizer
from data.windows import cut_passages, cut_windows

TEXT = "One fox ran. Two dogs sat down! Did three owls fly? Four cats slept on a mat."
TOKENIZER = build_tokenizer([TEXT], CorpusConfig(vocabulary="bpe", vocabulary_size=300), None)


def solid(text: str) -> str:
    return "".join(text.split())


@given(st.text(st.sampled_from("ab.! \n\u2028é"), max_size=200), st.integers(1, 40))
def test_passages_lose_nothing_and_fit(text, max_characters):
    passages = list(cut_passages(text, max_characters))
    assert solid("".join(passages)) == solid(text)
    assert all(0 < len(passage) <= max_characters for passage in passages)


def test_passages_end_with_sentences_where_they_can():
    assert list(cut_passages(TEXT, 35)) == [
        "One fox ran. Two dogs sat down!",
        "Did three owls fly?",
        "Four cats slept on a mat.",
    ]
    assert list(cut_passages("aaaa bbbb cccc", 8)) == ["aaaa", "bbbb", "cccc"]
    assert list(cut_passages("abcdefgh", 3)) == ["abc", "def", "gh"]


@given(st.text(st.sampled_from('abc.?" \n🦊é\u2028'), max_size=150), st.integers(7, 20))
@settings(max_examples=150, deadline=None)
def test_windows_lose_nothing_and_fit(text, max_tokens):
    windows = make_windows([text], TOKENIZER, max_tokens)
    assert solid("".join(window.text for window in windows)) == solid(text)
    for window in windows:
        assert 1 <= len(window.encoding.token_ids) <= max_tokens
        assert TOKENIZER.decode(window.encoding.token_ids) == window.text
        assert text[window.start : window.start + len(window.text)] == window.text


def test_windows_end_with_sentences_else_words():
    offsets = np.array([(place, place + 1) for place in range(len(TEXT))])
    stretches = [TEXT[a:b] for a, b in cut_windows(TEXT, offsets, 35)]
    assert stretches[0] == "One fox ran. Two dogs sat down!"
    assert all(stretch[-1] in ".!?" for stretch in stretches)
    words = "aaa bbb ccc ddd eee fff ggg hhh"
    offsets = np.array([(place, place + 1) for place in range(len(words))])
    pieces = [words[a:b] for a, b in cut_windows(words, offsets, 10)]
    assert all(len(piece) <= 10 and len(piece) % 4 == 3 for piece in pieces)


def test_no_window_is_a_short_tail():
    offsets = np.array([(2 * place, 2 * place + 1) for place in range(11)])
    lengths = [(b - a + 1) // 2 for a, b in cut_windows("a " * 11, offsets, 10)]
    assert lengths == [6, 5]


def test_short_text_is_one_window_and_an_empty_one_none():
    windows = make_windows(["fox", "", "owl"], TOKENIZER, 8)
    assert [(window.document, window.text) for window in windows] == [(0, "fox"), (2, "owl")]


@pytest.mark.parametrize("text", ["a" * 5000, "\u2028" * 100 + "a" * 300, "🦊" * 500])
def test_texts_without_borders_are_cut_between_characters(text):
    windows = make_windows([text], TOKENIZER, 15)
    assert "".join(window.text for window in windows) == text.strip()


@pytest.mark.parametrize(("text", "max_tokens"), [("🦊" * 300, 15), ("🦊 " * 300, 17)])
def test_room_is_counted_in_whole_characters(text, max_tokens):
    windows = make_windows([text], TOKENIZER, max_tokens)
    assert [window.text.count("🦊") for window in windows] == [3] * 100
