"""Words at which a text leaves the training texts: found by hand in a small corpus."""

from __future__ import annotations

import pytest

from analyses.texts.ngram_scores import build_ngram_index
from workbench.score.unseen_words import unseen_words


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("anna the fox went to the lake.", []),
        ("anna the fox went to lake the. anna the fox", ["lake", "the"]),
        ("anna the fox lake", ["lake"]),
        ("the lake", []),  # too short for a run
        ("", []),
    ],
)
def test_a_word_that_ends_an_unseen_run_is_marked_once(smoke, text, marked):
    tokens = smoke.corpus.tokenizer
    seen = build_ngram_index(
        [e.token_ids for e in tokens.encode_batch(["anna the fox went to the lake."])],
        vocab_size=smoke.corpus.vocab_size,
    )
    (spans,) = unseen_words([text], tokens, seen)
    assert [text[start:end] for start, end in spans] == marked


@pytest.mark.parametrize("text", ["anna the fox unfoxly.", "anna the unfoxly."])
def test_a_mark_covers_the_whole_word_of_which_a_token_is_part(smoke, text):
    tokens = smoke.corpus.tokenizer
    assert len(tokens.encode_batch([text])[0].offsets) > 4  # the last word has several tokens
    seen = build_ngram_index([], vocab_size=smoke.corpus.vocab_size)
    (spans,) = unseen_words([text], tokens, seen)
    assert text[slice(*spans[0])] == "unfoxly"
