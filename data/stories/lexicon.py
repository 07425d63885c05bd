"""What a story can be about: names, kinds, things, places, weathers and moods.

The values of one fact field occur nowhere else in the grammar, so that finding a value in a text
decides the fact. Hero and companion names are therefore drawn from two pools without overlap.
Strings with brackets are frames in the notation of `data.stories.frames`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a hero is; `pronoun` is None where a name of either gender fits."""

    noun: str
    semantic_class: str
    pronoun: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """An object, the verb of its use, and how it is damaged and mended."""

    noun: str
    use: str
    damage: str
    means: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place, the preposition for being there, and the setting it belongs to."""

    noun: str
    preposition: str
    setting: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """A weather with its causes and effects, each a tuple of frames.

    Args:
        noun: the surface form.
        begins: clauses that bring it in.
        loss: clauses in which it takes the object.
        trouble: clauses in which it troubles the hero.
        remedy: verb phrases by which the companion helps against exactly this trouble.
        ends: clauses that end it.
    """

    noun: str
    begins: tuple[str, ...]
    loss: tuple[str, ...]
    trouble: tuple[str, ...]
    remedy: tuple[str, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mood:
    """A mood, whether a good ending keeps it, and what it makes a hero do (verb phrases)."""

    adjective: str
    pleasant: bool
    acts: tuple[str, ...]


HEROES: Mapping[str, tuple[str, ...]] = {
    "she": ("Lily", "Anna", "Emma", "Ruby", "Rosa", "Alice"),
    "he": ("Tom", "Ben", "Jack", "Max", "Leo", "Oscar"),
}
COMPANIONS = ("Sam", "Lucy", "Peter", "Kate", "Hugo", "Mary", "Finn", "Eva")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "golden", "orange")
TIMES = ("morning", "afternoon", "evening", "night")

_ANIMALS = ("fox", "rabbit", "bear", "cat", "mouse", "owl")
_PEOPLE = ("baker", "farmer", "sailor", "painter")
_GENDERED = {"girl": "she", "queen": "she", "boy": "he", "king": "he"}
KINDS = (
    *(Kind(noun=noun, semantic_class="animal") for noun in _ANIMALS),
    *(Kind(noun=noun, semantic_class="person") for noun in _PEOPLE),
    *(Kind(noun=noun, semantic_class="person", pronoun=_GENDERED[noun]) for noun in _GENDERED),
)

_BREAKABLE = {
    **{"kite": "fly", "ball": "throw", "drum": "play", "lamp": "light", "bell": "ring"},
    **{"cup": "fill", "flute": "play", "basket": "fill"},
}
_TEARABLE = {
    **{"hat": "wear", "book": "read", "map": "read", "scarf": "wear"},
}
THINGS = (
    *(Thing(noun=n, use=use, damage="break", means="glue") for n, use in _BREAKABLE.items()),
    *(Thing(noun=n, use=use, damage="tear", means="thread") for n, use in _TEARABLE.items()),
)

_PLACES = {
    "wild": {"forest": "in", "hill": "on", "cave": "in"},
    "water": {"lake": "by", "river": "by", "beach": "on"},
    "town": {"market": "at", "school": "at", "castle": "in"},
    "country": {"farm": "on", "garden": "in", "park": "in"},
}
PLACES = tuple(
    Place(noun=noun, preposition=preposition, setting=setting)
    for setting, places in _PLACES.items()
    for noun, preposition in places.items()
)

WEATHERS = (
    Weather(
        noun="rain",
        begins=("the {weather} [fall] hard", "the {weather} [come] down"),
        loss=("the {weather} [carry] {thing} away", "{thing} [fall] into the mud in the {weather}"),
        trouble=("the {weather} [make] {him} wet", "{she} [be] wet from the {weather}"),
        remedy=("[bring] {him} a dry towel", "[give] {him} a dry towel"),
        ends=("the {weather} [stop]", "the {weather} [end]"),
    ),
    Weather(
        noun="snow",
        begins=("the {weather} [fall] fast", "the {weather} [come] down"),
        loss=("the {weather} [cover] {thing}", "{thing} [fall] into the deep {weather}"),
        trouble=("the {weather} [make] {him} cold", "{she} [be] cold from the {weather}"),
        remedy=("[bring] {him} some hot soup", "[make] {him} some hot soup"),
        ends=("the {weather} [stop]", "the {weather} [end]"),
    ),
    Weather(
        noun="wind",
        begins=("the {weather} [blow] hard", "the {weather} [get] strong"),
        loss=("the {weather} [blow] {thing} away", "the {weather} [take] {thing} away"),
        trouble=("the {weather} [push] {him} over", "{she} [can] not stand up in the {weather}"),
        remedy=("[pull] {him} behind a wall", "[take] {him} behind a wall"),
        ends=("the {weather} [stop]", "the {weather} [end]"),
    ),
    Weather(
        noun="fog",
        begins=("the {weather} [roll] in", "the {weather} [be] thick"),
        loss=("the {weather} [hide] {thing}", "{she} [drop] {thing} in the {weather}"),
        trouble=("the {weather} [hide] the path", "{she} [lose] the path in the {weather}"),
        remedy=("[light] a candle for {him}", "[show] {him} the way with a candle"),
        ends=("the {weather} [lift]", "the {weather} [go] away"),
    ),
    Weather(
        noun="sun",
        begins=("the {weather} [burn] hot", "the {weather} [come] out"),
        loss=(
            "{she} [sleep] in the {weather} and [lose] {thing}",
            "{she} [sit] in the {weather} and [lose] {thing}",
        ),
        trouble=("the {weather} [make] {him} thirsty", "{she} [be] thirsty from the {weather}"),
        remedy=("[bring] {him} some cold water", "[give] {him} some cold water"),
        ends=("the {weather} [go] down", "the {weather} [go] away"),
    ),
    Weather(
        noun="storm",
        begins=("the {weather} [begin]", "the {weather} [come] near"),
        loss=("the {weather} [take] {thing} away", "{she} [lose] {thing} in the {weather}"),
        trouble=("the {weather} [shake] the trees", "the {weather} [scare] {him}"),
        remedy=("[take] {him} into a warm house", "[bring] {him} to a warm house"),
        ends=("the {weather} [pass]", "the {weather} [end]"),
    ),
)

MOODS = (
    Mood(adjective="sad", pleasant=False, acts=("[cry]", "[shake] {poss} head")),
    Mood(adjective="angry", pleasant=False, acts=("[shout]", "[shake] {poss} head")),
    Mood(adjective="lonely", pleasant=False, acts=("[sit] alone", "[cry] for a while")),
    Mood(adjective="tired", pleasant=False, acts=("[sit] down", "[lie] down for a while")),
    Mood(adjective="bored", pleasant=False, acts=("[sigh]", "[sit] down")),
    Mood(adjective="worried", pleasant=False, acts=("[sigh]", "[look] around")),
    Mood(adjective="brave", pleasant=True, acts=("[walk] on", "[stand] up")),
    Mood(adjective="proud", pleasant=True, acts=("[stand] up", "[lift] {poss} head")),
    Mood(adjective="calm", pleasant=True, acts=("[take] a deep breath", "[sit] down")),
    Mood(adjective="curious", pleasant=True, acts=("[look] around", "[walk] around")),
)

FACT_VALUES: Mapping[str, tuple[str, ...]] = {
    "hero": tuple(name.lower() for names in HEROES.values() for name in names),
    "hero_kind": tuple(kind.noun for kind in KINDS),
    "pronoun": tuple(HEROES),
    "companion": tuple(name.lower() for name in COMPANIONS),
    "object": tuple(thing.noun for thing in THINGS),
    "colour": COLOURS,
    "place": tuple(place.noun for place in PLACES),
    "weather": tuple(weather.noun for weather in WEATHERS),
    "mood": tuple(mood.adjective for mood in MOODS),
    "time": TIMES,
}
