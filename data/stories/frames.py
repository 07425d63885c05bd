"""Frames: sentences with gaps, compiled once.

Notation: `{slot}` is filled from the story's facts, `[verb]` takes the story's tense (`[verb+]` a
plural subject), everything else is written out. What a slot may presuppose stands in `SLOTS`: a
frame is usable only where the story has told all that it requires and nothing that it forbids,
so that "the red kite" never comes before "a red kite".
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from data.stories.words import INFINITIVE_TO, literal_tag


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """What filling a slot requires, forbids and tells, as names of what a story has told."""

    requires: frozenset[str] = frozenset()
    forbids: frozenset[str] = frozenset()
    tells: frozenset[str] = frozenset()


def _slot(*, requires: str = "", forbids: str = "", tells: str = "") -> Slot:
    return Slot(
        requires=frozenset(requires.split()),
        forbids=frozenset(forbids.split()),
        tells=frozenset(tells.split()),
    )


SLOTS: Mapping[str, Slot] = {
    "hero": _slot(),
    "kind": _slot(),
    "ref": _slot(),
    "she": _slot(),
    "him": _slot(),
    "poss": _slot(),
    "friend": _slot(tells="companion"),
    "they": _slot(requires="companion"),
    "place": _slot(tells="place"),
    "new_place": _slot(forbids="place", tells="place"),
    "at": _slot(),
    "time": _slot(tells="time"),
    "thing": _slot(tells="object"),
    "a_thing": _slot(forbids="object", tells="object"),
    "her_thing": _slot(forbids="object", tells="object"),
    "the_thing": _slot(requires="object"),
    "my_thing": _slot(requires="object owned"),
    "use": _slot(),
    "damage": _slot(),
    "means": _slot(),
    "mood": _slot(forbids="mood", tells="mood"),
    "low_mood": _slot(requires="unpleasant", forbids="mood", tells="mood"),
    "old_mood": _slot(requires="mood"),
    "bad_mood": _slot(requires="mood unpleasant"),
    "good_mood": _slot(requires="mood pleasant"),
    "mood_act": _slot(),
    "weather": _slot(tells="weather"),
    "weather_begins": _slot(forbids="weather", tells="weather"),
    "weather_ends": _slot(requires="weather"),
    "weather_loss": _slot(requires="object", tells="weather"),
    "weather_trouble": _slot(tells="weather"),
    "weather_remedy": _slot(requires="weather"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A compiled frame.

    Args:
        parts: (form, text, labels) in order; form is "slot", "verb", "word" or "mark" and only
            words carry labels.
        requires: what must have been told before.
        forbids: what must not have been told before.
        tells: what is told afterwards.
    """

    parts: tuple[tuple[str, str, Mapping[str, str] | None], ...]
    requires: frozenset[str]
    forbids: frozenset[str]
    tells: frozenset[str]

    def fits(self, told: Set[str]) -> bool:
        """Whether the frame may follow a story that has told this much."""
        return self.requires <= told and not self.forbids & told


_PART = re.compile(
    r"\{(?P<slot>\w+)\}|\[(?P<verb>\w+\+?)\]|(?P<word>\w+)|(?P<mark>[.,])|\s+|(?P<bad>.)"
)


def _is_verb(labels: Mapping[str, str] | None) -> bool:
    return labels is not None and labels["pos"] == "verb"


@cache
def compile_frame(source: str) -> Frame:
    """Compile one frame.

    Raises:
        ValueError: for an unknown slot, an unlabelled word or a stray character.
    """
    parts: list[tuple[str, str, Mapping[str, str] | None]] = []
    slots = []
    for match in _PART.finditer(source):
        form, text = match.lastgroup, match.group().strip("{}[]")
        if form is None:
            continue
        if form == "bad" or (form == "slot" and text not in SLOTS):
            raise ValueError(f"{match.group()!r} is no part of a frame, in {source!r}")
        if form == "slot":
            slots.append(SLOTS[text])
        labels = literal_tag(text) if form == "word" else None
        if parts and parts[-1][1] == "to" and (text == "use" or _is_verb(labels)):
            parts[-1] = ("word", "to", INFINITIVE_TO)
        parts.append((form, text, labels))
    return Frame(
        parts=tuple(parts),
        requires=frozenset().union(*(slot.requires for slot in slots)),
        forbids=frozenset().union(*(slot.forbids for slot in slots)),
        tells=frozenset().union(*(slot.tells for slot in slots)),
    )


def compile_frames(sources: Sequence[str]) -> tuple[Frame, ...]:
    """Compile a beat's frames, in order."""
    return tuple(compile_frame(source) for source in sources)
