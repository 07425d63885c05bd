"""Telling: fills frames from a cast, word by word, and remembers what has been told.

The output is a flat list of pieces (words and punctuation marks), each with its labels and the
fact field it states, if any.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from data.stories.cast import Cast, Choice, pick
from data.stories.frames import Frame, compile_frame
from data.stories.words import VERBS, inflect, literal_tag, tag

Labels = Mapping[str, str]

_OBJECT_PRONOUN = {"she": "her", "he": "him"}
_POSSESSIVE = {"she": "her", "he": "his"}
_COLOUR_AGAIN = 0.6  # how often a later mention of the object repeats its colour
_NAME_AGAIN = 0.6  # how often a later mention of the hero is by name, not by kind

PERSON_NAME = tag("propn", "person")
COLOUR = tag("adj", "colour")
OBJECT = tag("noun", "object")
PLACE = tag("noun", "place")
WEATHER = tag("noun", "weather")
EMOTION = tag("adj", "emotion")
TIME = tag("noun", "time")
PRONOUN = tag("pron", "function")
POSSESSIVE = tag("poss", "function")
DETERMINER = tag("det", "function")


class Telling:
    """A story in the making.

    Args:
        cast: what the story is about.
        owned: whether the hero owns the object.
        rng: draws the wording.
    """

    def __init__(self, cast: Cast, *, owned: bool, rng: Random) -> None:
        self.cast = cast
        self.told: set[str] = {"pleasant" if cast.mood.pleasant else "unpleasant"}
        if owned:
            self.told.add("owned")
        self.words: list[str] = []
        self.labels: list[Labels | None] = []
        self.fields: list[str | None] = []
        self._rng = rng

    def tell(self, frame: Frame) -> None:
        """Append one sentence."""
        start = len(self.words)
        self._fill(frame)
        self.words[start] = self.words[start].capitalize()
        self.told |= frame.tells

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Draw one of several wordings."""
        return pick(choices, self._rng)

    def chance(self, share: float) -> bool:
        """Draw whether something that happens this often happens now."""
        return self._rng.random() < share

    def _fill(self, frame: Frame) -> None:
        for form, text, labels in frame.parts:
            if form == "slot":
                _FILLERS[text](self)
            elif form == "verb":
                self._say(*inflect(text, self.cast.tense))
            else:
                self._say(text, labels)

    def _say(self, word: str, labels: Labels | None, field: str | None = None) -> None:
        if word[0] in "aeiou" and self.words and self.words[-1] in ("a", "A"):
            self.words[-1] += "n"
        self.words.append(word)
        self.labels.append(labels)
        self.fields.append(field)

    def _say_kind(self) -> None:
        kind = self.cast.kind
        self._say(kind.noun, tag("noun", kind.semantic_class), "hero_kind")

    def _say_hero(self) -> None:
        self._say(self.cast.hero, PERSON_NAME, "hero")

    def _say_reference(self) -> None:
        if self.chance(_NAME_AGAIN):
            self._say_hero()
        else:
            self._say("the", DETERMINER)
            self._say_kind()

    def _say_pronoun(self) -> None:
        self._say(self.cast.pronoun, PRONOUN, "pronoun")

    def _say_object_pronoun(self) -> None:
        self._say(_OBJECT_PRONOUN[self.cast.pronoun], PRONOUN)

    def _say_possessive(self) -> None:
        self._say(_POSSESSIVE[self.cast.pronoun], POSSESSIVE)

    def _say_companion(self) -> None:
        if "companion" not in self.told:
            self._say_possessive()
            self._say("friend", literal_tag("friend"))
            self.told.add("companion")
        self._say(self.cast.companion, PERSON_NAME, "companion")

    def _say_colour(self) -> None:
        self._say(self.cast.colour, COLOUR, "colour")

    def _say_noun(self) -> None:
        self._say(self.cast.thing.noun, OBJECT, "object")

    def _say_new_thing(self) -> None:
        self._say("a", DETERMINER)
        self._say_colour()
        self._say_noun()
        self.told.add("object")

    def _say_own_thing(self) -> None:
        self._say_possessive()
        self._say_colour()
        self._say_noun()
        self.told.add("object")

    def _say_known_thing(self) -> None:
        self._say("the", DETERMINER)
        if self.chance(_COLOUR_AGAIN):
            self._say_colour()
        self._say_noun()

    def _say_mood(self) -> None:
        self._say(self.cast.mood.adjective, EMOTION, "mood")

    def _say_use(self) -> None:
        verb = self.cast.thing.use
        self._say(verb, tag("verb", VERBS[verb][2]))

    def _say_damage(self) -> None:
        self._say(*inflect(self.cast.thing.damage, self.cast.tense))

    def _say_one_of(self, sources: tuple[str, ...]) -> None:
        frame = compile_frame(self.one_of(sources))
        self._fill(frame)
        self.told |= frame.tells

    def _say_place(self) -> None:
        self._say(self.cast.place.noun, PLACE, "place")

    def _say_weather(self) -> None:
        self._say(self.cast.weather.noun, WEATHER, "weather")


def _literal(word: Callable[[Cast], str]) -> Callable[[Telling], None]:
    def fill(telling: Telling) -> None:
        text = word(telling.cast)
        telling._say(text, literal_tag(text))

    return fill


_FILLERS: Mapping[str, Callable[[Telling], None]] = {
    "hero": Telling._say_hero,
    "kind": Telling._say_kind,
    "ref": Telling._say_reference,
    "she": Telling._say_pronoun,
    "him": Telling._say_object_pronoun,
    "poss": Telling._say_possessive,
    "friend": Telling._say_companion,
    "they": _literal(lambda cast: "they"),
    "place": Telling._say_place,
    "new_place": Telling._say_place,
    "at": _literal(lambda cast: cast.place.preposition),
    "time": lambda telling: telling._say(telling.cast.time, TIME, "time"),
    "thing": Telling._say_known_thing,
    "a_thing": Telling._say_new_thing,
    "her_thing": Telling._say_own_thing,
    "the_thing": Telling._say_known_thing,
    "my_thing": Telling._say_own_thing,
    "use": Telling._say_use,
    "damage": Telling._say_damage,
    "means": _literal(lambda cast: cast.thing.means),
    "mood": Telling._say_mood,
    "low_mood": Telling._say_mood,
    "old_mood": Telling._say_mood,
    "bad_mood": Telling._say_mood,
    "good_mood": Telling._say_mood,
    "mood_act": lambda telling: telling._say_one_of(telling.cast.mood.acts),
    "weather": Telling._say_weather,
    "weather_begins": lambda telling: telling._say_one_of(telling.cast.weather.begins),
    "weather_ends": lambda telling: telling._say_one_of(telling.cast.weather.ends),
    "weather_loss": lambda telling: telling._say_one_of(telling.cast.weather.loss),
    "weather_trouble": lambda telling: telling._say_one_of(telling.cast.weather.trouble),
    "weather_remedy": lambda telling: telling._say_one_of(telling.cast.weather.remedy),
}
