"""Documents refuse what cannot be sliced."""

import pytest

from data.documents import Document, Span


def test_a_document_keeps_what_it_is_given() -> None:
    noun = Span(start=2, end=5, labels={"pos": "noun"})
    document = Document(
        text="a fox", labels={"topic": "animal"}, facts={"hero": "fox"}, spans=(noun,)
    )
    assert document.text[noun.start : noun.end] == document.facts["hero"]
    assert document.reference is None


def test_defaults_are_empty_and_not_shared() -> None:
    first, second = Document(text="one"), Document(text="two")
    assert (first.labels, first.facts, first.spans) == ({}, {}, ())
    assert first.labels is not second.labels


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (4, 2)])
def test_a_span_without_characters_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="0 <= start < end"):
        Span(start=start, end=end, labels={})


def test_a_span_beyond_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond the text of 3 characters"):
        Document(text="fox", spans=(Span(start=0, end=4, labels={}),))


def test_overlapping_or_unordered_spans_are_refused() -> None:
    left, right = Span(start=0, end=3, labels={}), Span(start=2, end=5, labels={})
    with pytest.raises(ValueError, match="in order and apart"):
        Document(text="a text", spans=(left, right))
    with pytest.raises(ValueError, match="in order and apart"):
        Document(text="a text", spans=(Span(start=4, end=5, labels={}), left))
