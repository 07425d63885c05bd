"""The recogniser accepts all that the grammar tells, and nothing that was damaged."""

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from data.stories import StoriesConfig, generate_stories
from data.stories.beats import OPENINGS
from data.stories.cast import draw_cast
from data.stories.describe import split_pieces
from data.stories.recogniser import (
    accepts_sentence,
    accepts_story,
    grammar_scores,
    split_sentences,
    tellings,
)
from data.stories.telling import Telling

STORIES = [story.text for story in generate_stories(StoriesConfig(num_documents=3_000, seed=11))]
NO_PROMPTS = [""] * len(STORIES)


def words_of(sentence: str) -> tuple[str, ...]:
    return tuple(split_pieces(sentence))


def shuffled(text: str, seed: int) -> str:
    return " ".join(np.random.default_rng(seed).permutation(text.split()))


def swapped(text: str, seed: int) -> str:
    words = text.split()
    place = int(np.random.default_rng(seed).integers(len(words) - 1))
    words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def test_every_told_story_is_accepted():
    scores = grammar_scores(STORIES, NO_PROMPTS)
    assert (scores["grammar_sentences"] == 1).all()
    assert (scores["grammar_texts"] == 1).all()


def test_spaces_and_capitals_play_no_part():
    spaced = [" ".join(split_pieces(text)) for text in STORIES[:50]]
    assert (grammar_scores(spaced, NO_PROMPTS[:50])["grammar_texts"] == 1).all()


def test_one_swap_of_neighbours_is_seen():
    texts = [swapped(text, seed) for seed, text in enumerate(STORIES[:300])]
    assert grammar_scores(texts, NO_PROMPTS[:300])["grammar_texts"].mean() == 0.0


def test_shuffled_words_are_no_sentences():
    texts = [shuffled(text, seed) for seed, text in enumerate(STORIES[:300])]
    assert grammar_scores(texts, NO_PROMPTS[:300])["grammar_sentences"].mean() < 0.01


def test_the_second_half_of_another_story_makes_no_story():
    halves = [split_pieces(text) for text in STORIES[:300]]
    mixed = [
        " ".join(first[: len(first) // 2] + second[len(second) // 2 :])
        for first, second in zip(halves, halves[1:] + halves[:1], strict=True)
    ]
    assert grammar_scores(mixed, NO_PROMPTS[:300])["grammar_texts"].mean() < 0.01


def test_a_story_keeps_its_tense_and_the_half_of_another_one_by_chance():
    cuts = [text[: text.index(". ", len(text) // 3) + 1] for text in STORIES[:300]]
    kept = grammar_scores(STORIES[:300], cuts)["tense_agreement"]
    assert (kept == 1).all()
    rest = [text[len(cut) :] for text, cut in zip(STORIES, cuts, strict=False)]
    mixed = [cut + other for cut, other in zip(cuts, rest[1:] + rest[:1], strict=True)]
    assert 0.4 < np.nanmean(grammar_scores(mixed, cuts)["tense_agreement"]) < 0.6


@pytest.mark.parametrize(
    ("told", "agreement"),
    [
        ("Sam smiled. Sam slept.", np.nan),  # the grammar tells neither
        ("They laughed and ate cake in the park.", 1.0),
        ("They laugh and eat cake in the park.", 0.0),
        ("They laughed and ate cake in the park. They laugh and eat cake in the park.", 0.5),
        ("", np.nan),
    ],
)
def test_tense_agreement_counts_the_sentences_that_tell_a_tense(told, agreement):
    prompt = "They laughed and ate cake in the garden. "
    found = grammar_scores([prompt + told], [prompt])["tense_agreement"]
    np.testing.assert_array_equal(found, [agreement])
    assert np.isnan(grammar_scores([told], [""])["tense_agreement"][0])


@pytest.mark.parametrize(
    "sentence",
    [
        "Sam repaired the red drum with thread.",  # a drum is mended with glue
        "Lily the king went to the park with her friend Sam and her red kite.",  # no queen
        "The red drum is broken.",
        "At last, Ben wins the red blue drum.",  # two colours
        "At last, Ben wins the red drum",  # no end
        "One day, Ben the fox took his red drum to the lake.",
        "The sad fox stood up.",  # what a brave hero does
    ],
)
def test_what_the_grammar_does_not_say(sentence):
    assert not accepts_sentence(words_of(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "Sam repaired the red drum with glue.",
        "At last, Ben wins the drum.",
        "The sad fox cried.",
        "Luckily, Sam came and gave her a dry towel.",
        "In the fog, Tom found an orange scarf.",
    ],
)
def test_what_the_grammar_says(sentence):
    assert accepts_sentence(words_of(sentence))


def test_order_and_cast_decide_over_a_story():
    sentences = split_sentences(split_pieces(STORIES[0]))
    assert accepts_story(sentences)
    assert not accepts_story(sentences[::-1])
    assert not accepts_story(sentences[:-1])
    assert not accepts_story([])


def test_sentences_of_the_prompt_do_not_count():
    prompt = "Nonsense it is. One morning, Ben the fox"
    whole = prompt + " was by the lake and felt sad. Ben felt felt."
    scores = grammar_scores([whole, prompt], [prompt, prompt])
    assert scores["grammar_sentences"].tolist() == [0.5, 0.0]


def frames_told(seed: int) -> Iterator[tuple[tuple[str, ...], set[tuple[str, ...]]]]:
    rng = Random(seed)
    for frame in OPENINGS:
        cast = draw_cast(rng)
        telling = Telling(cast, owned=True, rng=rng)
        telling.tell(frame)
        every = {words for words, _ in tellings(frame, cast, ())}
        yield tuple(word.lower() for word in telling.words), every


def test_all_tellings_hold_the_one_drawn():
    for seed in range(20):
        for drawn, every in frames_told(seed):
            assert drawn in every
