"""The cast: everything that is decided about a story before its first word."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from data.stories.lexicon import (
    COLOURS,
    COMPANIONS,
    HEROES,
    KINDS,
    MOODS,
    PLACES,
    THINGS,
    TIMES,
    WEATHERS,
    Kind,
    Mood,
    Place,
    Thing,
    Weather,
)

Choice = TypeVar("Choice")

TENSES = ("past", "present")
_NIGHT_WEATHERS = tuple(weather for weather in WEATHERS if weather.noun != "sun")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Who, where, what, when, and in which mood, weather and tense."""

    hero: str
    kind: Kind
    pronoun: str
    companion: str
    thing: Thing
    colour: str
    place: Place
    weather: Weather
    mood: Mood
    time: str
    tense: str

    @property
    def facts(self) -> dict[str, str]:
        """Every fact field with its lower-case surface form, told or not."""
        return {
            "hero": self.hero.lower(),
            "hero_kind": self.kind.noun,
            "pronoun": self.pronoun,
            "companion": self.companion.lower(),
            "object": self.thing.noun,
            "colour": self.colour,
            "place": self.place.noun,
            "weather": self.weather.noun,
            "mood": self.mood.adjective,
            "time": self.time,
        }


def pick(choices: Sequence[Choice], rng: Random) -> Choice:
    """Draw one item uniformly; one call of the generator, whatever the length."""
    return choices[int(rng.random() * len(choices))]


def draw_cast(rng: Random) -> Cast:
    """Draw a cast; the pronoun agrees with a gendered kind, and the name with the pronoun."""
    kind = pick(KINDS, rng)
    time = pick(TIMES, rng)
    pronoun = kind.pronoun or pick(tuple(HEROES), rng)
    return Cast(
        hero=pick(HEROES[pronoun], rng),
        kind=kind,
        pronoun=pronoun,
        companion=pick(COMPANIONS, rng),
        thing=pick(THINGS, rng),
        colour=pick(COLOURS, rng),
        place=pick(PLACES, rng),
        weather=pick(_NIGHT_WEATHERS if time == "night" else WEATHERS, rng),
        mood=pick(MOODS, rng),
        time=time,
        tense=pick(TENSES, rng),
    )
