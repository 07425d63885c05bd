"""A document: one text and whatever is known about it.

Every corpus yields documents, whether it is generated, read from a file or streamed. Knowledge
sits at three levels: `labels` class the whole text, `facts` name the values that a faithful
continuation must keep, and `spans` label stretches of characters (half-open, Python slicing).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A labelled stretch of a document's text.

    Args:
        start: first character, counted from 0.
        end: one past the last character, so that `text[start:end]` is the stretch.
        labels: label name -> class, such as `{"pos": "noun", "semantic_class": "animal"}`.

    Raises:
        ValueError: when the stretch is empty or starts before the text.
    """

    start: int
    end: int
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got {self.start} and {self.end}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text with its labels, facts and labelled spans.

    Args:
        text: the text itself.
        labels: label name -> class of the whole text.
        facts: field -> value, a lower-case string that occurs literally in the lower-cased text.
        spans: labelled stretches in order of their start, none overlapping the next.
        reference: a continuation given by the corpus itself; None where the text is cut instead.

    Raises:
        ValueError: when a span ends beyond the text, or spans are out of order or overlap.
    """

    text: str
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    reference: str | None = None

    def __post_init__(self) -> None:
        previous_end = 0
        for span in self.spans:
            if span.start < previous_end:
                raise ValueError(
                    f"spans must be in order and apart, got one at {span.start} "
                    f"after one that ends at {previous_end}"
                )
            previous_end = span.end
        if previous_end > len(self.text):
            raise ValueError(
                f"a span ends at {previous_end}, beyond the text of {len(self.text)} characters"
            )
