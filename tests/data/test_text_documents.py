"""Documents refuse what cannot be sliced."""

from data.documents import Document, Span


def test_a_document_keeps_what_it_is_given():
    noun = Span(start=2, end=5, labels={"pos": "noun"})
    document = Document(
        text="a fox", labels={"topic": "animal"}, facts={"hero": "fox"}, spans=(noun,)
    )
    assert document.text[noun.start : noun.end] == document.facts["hero"]
    assert document.reference is None


def test_defaults_are_empty_and_not_shared():
    first, second = Document(text="one"), Document(text="two")
    assert (first.labels, first.facts, first.spans) == ({}, {}, ())
    assert first.labels is not second.labels
