"""The grammar read backwards: which sentences and stories it can tell.

Nothing of the grammar is written twice. A sentence is told again in every way that the cast it
mentions allows (`Telling`), and is accepted when one of these ways is the sentence itself. The
values of a fact field occur nowhere else in the grammar, so a text's cast can be read off its
words. Limits on a story's length, which only the generator has, play no part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np

from data.stories.beats import CLOSINGS, OPENINGS, SETUPS
from data.stories.cast import TENSES, Cast, Choice
from data.stories.describe import split_pieces
from data.stories.frames import Frame
from data.stories.generate import EXTRAS
from data.stories.lexicon import (
    COLOURS,
    COMPANIONS,
    FACT_VALUES,
    HEROES,
    KINDS,
    MOODS,
    PLACES,
    THINGS,
    TIMES,
    WEATHERS,
)
from data.stories.plots import PLOTS, Plot
from data.stories.telling import Telling
from data.stories.words import inflect

Words = tuple[str, ...]
Told = frozenset[str]
State = tuple[int, Told]  # sentences read, and what they have told

_BRANCHES: tuple[Plot, ...] = tuple(plot for branches in PLOTS for plot in branches)
_KINDS = {kind.noun: kind for kind in KINDS}
_THINGS = {thing.noun: thing for thing in THINGS}
_PLACES = {place.noun: place for place in PLACES}
_WEATHERS = {weather.noun: weather for weather in WEATHERS}
_MOODS = {mood.adjective: mood for mood in MOODS}
_NAMES = {name.lower(): name for names in (*HEROES.values(), COMPANIONS) for name in names}
_FIELD_OF = {value: field for field, values in FACT_VALUES.items() for value in values}
_PRONOUN_OF = {name.lower(): pronoun for pronoun, names in HEROES.items() for name in names}


class _EveryTelling(Telling):
    """A telling whose chances are decided by a script, so that all of them can be gone through."""

    def __init__(self, cast: Cast, told: Iterable[str], script: list[tuple[int, int]]) -> None:
        super().__init__(cast, owned=False, rng=Random(0))
        self.told |= set(told)
        self._script, self._place = script, 0

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        if self._place == len(self._script):
            self._script.append((0, len(choices)))
        chosen, _ = self._script[self._place]
        self._place += 1
        return choices[chosen]

    def chance(self, share: float) -> bool:
        return self.one_of((True, False))


def tellings(frame: Frame, cast: Cast, told: Iterable[str]) -> Iterator[tuple[Words, Told]]:
    """Every way of telling one frame: lower-cased words and marks, and what is told afterwards."""
    script: list[tuple[int, int]] = []
    while True:
        telling = _EveryTelling(cast, told, script)
        telling.tell(frame)
        yield tuple(word.lower() for word in telling.words), frozenset(telling.told)
        while script and script[-1][0] + 1 == script[-1][1]:
            script.pop()
        if not script:
            return
        script[-1] = (script[-1][0] + 1, script[-1][1])


@dataclass(frozen=True)
class _Scan:
    """A frame with what any telling of it must hold.

    Attributes:
        frame: the frame.
        words: tense -> its written-out words and inflected verbs, in lower case.
        silent: fields that may shape its words without being mentioned.
    """

    frame: Frame
    words: Mapping[str, frozenset[str]]
    silent: frozenset[str]


def _scan(frame: Frame) -> _Scan:
    """Look up what a frame needs to hold."""
    words = {
        tense: frozenset(
            (inflect(text, tense)[0] if form == "verb" else text).lower()
            for form, text, _ in frame.parts
            # "a" may become "an".
            if form in ("verb", "word", "mark") and text.lower() != "a"
        )
        for tense in TENSES
    }
    slots = {text for form, text, _ in frame.parts if form == "slot"}
    return _Scan(frame, words, frozenset({"weather"} if "weather_remedy" in slots else ()))


def _distinct(frames: Iterable[Frame]) -> tuple[_Scan, ...]:
    return tuple(_scan(frame) for frame in {id(frame): frame for frame in frames}.values())


_ALL = _distinct(
    (
        *OPENINGS,
        *SETUPS,
        *CLOSINGS,
        *(frame for plot in _BRANCHES for beat in plot.beats for frame in beat),
    )
)
_SCANS = {id(scan.frame): scan for scan in _ALL}


def split_sentences(pieces: Sequence[str]) -> list[Words]:
    """Sentences, each with its full stop; what follows the last stop is a sentence without one."""
    sentences, start = [], 0
    for place, piece in enumerate(pieces, start=1):
        if piece == "." or place == len(pieces):
            sentences.append(tuple(pieces[start:place]))
            start = place
    return sentences


def read_cast(pieces: Sequence[str]) -> dict[str, str] | None:
    """Fact field -> the value that a text mentions; None where a field has two values."""
    found: dict[str, str] = {}
    for piece in pieces:
        field = _FIELD_OF.get(piece)
        if field is not None and found.setdefault(field, piece) != piece:
            return None
    return found


def _casts(mentioned: Mapping[str, str], tense: str, silent: Iterable[str]) -> Iterator[Cast]:
    """Casts that a text with these facts may have; silent fields take each of their values."""
    kind = _KINDS.get(mentioned.get("hero_kind", ""))
    pronouns = {
        pronoun
        for pronoun in HEROES
        if mentioned.get("pronoun", pronoun) == pronoun
        and _PRONOUN_OF.get(mentioned.get("hero", ""), pronoun) == pronoun
        and (kind is None or kind.pronoun in (None, pronoun))
    }
    weathers = [mentioned["weather"]] if "weather" in mentioned else ["rain"]
    if "weather" in silent and "weather" not in mentioned:
        weathers = list(_WEATHERS)
    for pronoun in sorted(pronouns):
        for weather in weathers:
            yield Cast(
                hero=_NAMES[mentioned.get("hero", HEROES[pronoun][0].lower())],
                kind=kind or KINDS[0],
                pronoun=pronoun,
                companion=_NAMES[mentioned.get("companion", COMPANIONS[0].lower())],
                thing=_THINGS.get(mentioned.get("object", ""), THINGS[0]),
                colour=mentioned.get("colour", COLOURS[0]),
                place=_PLACES.get(mentioned.get("place", ""), PLACES[0]),
                weather=_WEATHERS[weather],
                mood=_MOODS.get(mentioned.get("mood", ""), MOODS[0]),
                time=mentioned.get("time", TIMES[0]),
                tense=tense,
            )


def accepts_sentence(sentence: Words) -> bool:
    """Whether some story of the grammar may hold this sentence (lower-cased words and marks)."""
    return bool(tenses_of(sentence))


@lru_cache(maxsize=100_000)
def tenses_of(sentence: Words) -> frozenset[str]:
    """Tenses in which some story may hold this sentence: none if no story can."""
    mentioned = read_cast(sentence)
    if mentioned is None:
        return frozenset()
    held = set(sentence)
    # A companion is called a friend at the first mention, and only there.
    told = () if "friend" in held else ("companion",)
    return frozenset(
        tense
        for tense in TENSES
        if any(
            sentence == words
            for scan in _ALL
            if scan.words[tense] <= held
            for cast in _casts(mentioned, tense, scan.silent)
            for words, _ in tellings(scan.frame, cast, told)
        )
    )


def accepts_story(sentences: Sequence[Words]) -> bool:
    """Whether the grammar can tell these sentences as one whole story with one cast.

    An opening, the set-ups that the plot needs, its beats in order, and a closing, each of which
    presupposes only what was told before.
    """
    mentioned = read_cast([piece for sentence in sentences for piece in sentence])
    if mentioned is None or not all(map(accepts_sentence, sentences)):
        return False
    return any(
        _Parse(sentences, cast, plot).accepted()
        for tense in TENSES
        for cast in _casts(mentioned, tense, ())
        for plot in _BRANCHES
    )


@dataclass(frozen=True)
class _Parse:
    """All ways in which one plot, with one cast, may have told some sentences."""

    sentences: Sequence[Words]
    cast: Cast
    plot: Plot

    def accepted(self) -> bool:
        """Whether opening, set-ups, beats and closing use up the sentences."""
        plot = self.plot
        start = Telling(self.cast, owned=plot.owned, rng=Random(0)).told
        states = self._step({(0, frozenset(start))}, OPENINGS, plot.withheld)
        states = self._set_up(states)
        for index, beat in enumerate(plot.beats):
            told = self._step(states, beat, frozenset())
            states = told | states if index in plot.skippable else told
        states = self._step(states, CLOSINGS, frozenset())
        return any(read == len(self.sentences) for read, _ in states)

    def _set_up(self, states: set[State]) -> set[State]:
        """Set-ups until the plot's needs are told, then at most one thing more."""
        ready: set[State] = set()
        while states:
            ready |= {state for state in states if self.plot.needs <= state[1]}
            states = set().union(
                *(self._useful(state, self.plot.needs) for state in states - ready)
            )
        return ready.union(*(self._useful(state, EXTRAS) for state in ready))

    def _useful(self, state: State, wanted: Told) -> set[State]:
        missing = wanted - state[1]
        useful = [frame for frame in SETUPS if frame.tells & missing]
        return self._step({state}, useful, self.plot.withheld)

    def _step(self, states: Iterable[State], frames: Iterable[Frame], withheld: Told) -> set[State]:
        """States after one more sentence, told by one of the frames."""
        return {
            (read + 1, after)
            for read, told in states
            if read < len(self.sentences)
            for frame in frames
            if frame.fits(told) and not frame.tells & withheld
            for after in self._told_as(frame, self.sentences[read], told)
        }

    def _told_as(self, frame: Frame, sentence: Words, told: Told) -> Iterator[Told]:
        if _SCANS[id(frame)].words[self.cast.tense] <= set(sentence):
            for words, after in tellings(frame, self.cast, told):
                if words == sentence:
                    yield after


def grammar_scores(texts: Sequence[str], prompts: Sequence[str]) -> dict[str, np.ndarray]:
    """What the grammar accepts of each text, which begins with its prompt.

    Capitals and spaces play no part.

    Args:
        texts: N prompts with their continuations.
        prompts: N beginnings of them, cut anywhere.

    Returns:
        `grammar_sentences` (N,): share of accepted sentences among those that the continuation
        writes or ends, 0 where it is empty; `grammar_texts` (N,): 1 where the whole is a story of
        the grammar, else 0; `tense_agreement` (N,): share of the accepted sentences with one tense
        that are in the tense of the prompt's last such sentence, NaN where either has none.
    """
    shares, whole = np.zeros(len(texts)), np.zeros(len(texts))
    agreement = np.full(len(texts), np.nan)
    for row, (text, prompt) in enumerate(zip(texts, prompts, strict=True)):
        sentences = split_sentences(split_pieces(text))
        ends = np.cumsum([len(sentence) for sentence in sentences], dtype=int)
        cut = len(split_pieces(prompt))
        tenses = [tenses_of(sentence) for sentence in sentences]
        written = [found for found, end in zip(tenses, ends, strict=True) if end > cut]
        shares[row] = np.mean([bool(found) for found in written]) if written else 0.0
        whole[row] = bool(written) and accepts_story(sentences)
        given = [found for found in tenses[: len(tenses) - len(written)] if len(found) == 1]
        told = [found for found in written if len(found) == 1]
        if given and told:
            agreement[row] = np.mean([found == given[-1] for found in told])
    return {"grammar_sentences": shares, "grammar_texts": whole, "tense_agreement": agreement}
