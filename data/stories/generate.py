"""Generation: draw a cast and a plot, tell the story, keep it if it is new and its length fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from data.documents import Document, Span
from data.stories.beats import CLOSINGS, OPENINGS, SETUPS
from data.stories.cast import draw_cast, pick
from data.stories.frames import Frame
from data.stories.plots import PLOTS, Plot
from data.stories.telling import Telling

MIN_PIECES = 36
MAX_PIECES = 52
MIN_CARRIED = 3
_EXTRA_SETUP = 0.4  # how often a set-up goes beyond the plot's needs, where there is room
_KEEP_SKIPPABLE = 0.6  # how often a beat that may be left out is told, where there is room
_ROOMY_PIECES = 49  # a story that would stay below this has room for what may be left out
_SENTENCE_PIECES = 9  # typical length of a sentence after the opening
EXTRAS = frozenset({"weather", "mood"})
_NOTHING: frozenset[str] = frozenset()
_MAX_ATTEMPTS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class StoriesConfig:
    """Which stories to generate.

    Args:
        num_documents: number of stories, all different.
        seed: draws the stories; a larger `num_documents` continues the same series.

    Raises:
        ValueError: when a number is out of range.
    """

    num_documents: int = 12_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_documents < 1:
            raise ValueError(f"num_documents must be >= 1, got {self.num_documents}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")


def generate_stories(config: StoriesConfig) -> Iterator[Document]:
    """Yield stories one by one, deterministic under the seed and never the same text twice.

    Memory grows by one 8-byte hash per story and holds no text; two texts with the
    same hash count as the same.

    Raises:
        ValueError: when the grammar yields nothing new in 10,000 attempts in a row.
    """
    rng = Random(config.seed)
    seen: set[bytes] = set()
    for _ in range(config.num_documents):
        yield _next_story(rng, seen)


def _next_story(rng: Random, seen: set[bytes]) -> Document:
    plot = pick(pick(PLOTS, rng), rng)
    for _ in range(_MAX_ATTEMPTS):
        telling = Telling(draw_cast(rng), owned=plot.owned, rng=rng)
        if not _tell_plot(telling, plot, rng) or not _is_wanted(telling):
            continue
        text, spans = _lay_out(telling)
        digest = blake2b(text.encode(), digest_size=8).digest()
        if digest not in seen:
            seen.add(digest)
            return _document(telling, plot, text, spans)
    raise ValueError(
        f"num_documents: no new story in {_MAX_ATTEMPTS} attempts after {len(seen)}; ask for fewer"
    )


def _tell_plot(telling: Telling, plot: Plot, rng: Random) -> bool:
    """Tell opening, set-up, beats and closing; False where no frame fits."""
    return (
        _tell_one(telling, OPENINGS, plot.withheld, rng)
        and _tell_setups(telling, plot, rng)
        and _tell_beats(telling, plot, rng)
        and _tell_one(telling, CLOSINGS, _NOTHING, rng)
    )


def _tell_setups(telling: Telling, plot: Plot, rng: Random) -> bool:
    """Tell what the plot needs and, where there is room, sometimes one thing more."""
    while missing := plot.needs - telling.told:
        useful = tuple(frame for frame in SETUPS if frame.tells & missing)
        if not _tell_one(telling, useful, plot.withheld, rng):
            return False
    extra = EXTRAS - telling.told
    needed = len(plot.beats) - len(plot.skippable)
    if extra and _has_room(telling, needed + 1) and rng.random() < _EXTRA_SETUP:
        useful = tuple(frame for frame in SETUPS if frame.tells & extra)
        return _tell_one(telling, useful, plot.withheld, rng)
    return True


def _tell_beats(telling: Telling, plot: Plot, rng: Random) -> bool:
    for index, beat in enumerate(plot.beats):
        if index in plot.skippable:
            needed = sum(later not in plot.skippable for later in range(index, len(plot.beats)))
            if not _has_room(telling, needed + 1) or rng.random() >= _KEEP_SKIPPABLE:
                continue
        if not _tell_one(telling, beat, _NOTHING, rng):
            return False
    return True


def _has_room(telling: Telling, num_sentences: int) -> bool:
    """Whether one more sentence fits before this many and the closing."""
    return len(telling.words) + _SENTENCE_PIECES * (num_sentences + 1) <= _ROOMY_PIECES


def _tell_one(
    telling: Telling, frames: tuple[Frame, ...], withheld: frozenset[str], rng: Random
) -> bool:
    told = telling.told
    fitting = [frame for frame in frames if frame.fits(told) and not frame.tells & withheld]
    if not fitting:
        return False
    telling.tell(pick(fitting, rng))
    return True


def _is_wanted(telling: Telling) -> bool:
    """Whether a story has the right length and takes enough facts across its middle."""
    fields = telling.fields
    if not MIN_PIECES <= len(fields) <= MAX_PIECES:
        return False
    middle = len(fields) // 2
    carried = set(fields[:middle]) & set(fields[middle:]) - {None, "pronoun"}
    return len(carried) >= MIN_CARRIED


def _lay_out(telling: Telling) -> tuple[str, tuple[Span, ...]]:
    """Join pieces with English spacing and note where every word lies."""
    spans = []
    pieces = []
    position = 0
    for word, labels in zip(telling.words, telling.labels, strict=True):
        if labels is None:
            pieces.append(word)
            position += len(word)
            continue
        if pieces:
            pieces.append(" ")
            position += 1
        pieces.append(word)
        spans.append(Span(start=position, end=position + len(word), labels=labels))
        position += len(word)
    return "".join(pieces), tuple(spans)


def _document(telling: Telling, plot: Plot, text: str, spans: tuple[Span, ...]) -> Document:
    """Only what the text states becomes a fact or a label; tense and plot always show."""
    cast = telling.cast
    facts = {name: value for name, value in cast.facts.items() if name in set(telling.fields)}
    labels = {"tense": cast.tense, "plot": plot.name}
    labels |= {name: facts[name] for name in ("hero_kind", "mood", "weather") if name in facts}
    if "place" in facts:
        labels["setting"] = cast.place.setting
    return Document(text=text, labels=labels, facts=facts, spans=spans)
