"""Plots: what happens between a story's set-up and its closing.

A plot is a sequence of beats of which each has several frames; a cause in one beat (a weather, a
mishap, a mood) is answered by its own effect in a later one.
"""

from dataclasses import dataclass

from data.stories.frames import Frame, compile_frames


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """One plot, or one branch of it.

    Args:
        name: the plot's label; branches share it.
        beats: the frames of each beat, in order.
        needs: what the set-up must have told before the first beat.
        withheld: what the set-up must not tell, because the plot itself brings it in.
        skippable: indices of the beats that a telling may leave out.
        owned: whether the hero owns the object in the end.
    """

    name: str
    beats: tuple[tuple[Frame, ...], ...]
    needs: frozenset[str]
    withheld: frozenset[str] = frozenset()
    skippable: frozenset[int] = frozenset()
    owned: bool = True


def _plot(
    name: str,
    *beats: list[str],
    needs: str = "",
    withheld: str = "",
    skippable: tuple[int, ...] = (),
    owned: bool = True,
) -> Plot:
    return Plot(
        name=name,
        beats=tuple(compile_frames(beat) for beat in beats),
        needs=frozenset(needs.split()),
        withheld=frozenset(withheld.split()),
        skippable=frozenset(skippable),
        owned=owned,
    )


_FEELING = [
    "The {bad_mood} {kind} {mood_act}.",
    "{ref} [be] {bad_mood} and {mood_act}.",
    "{ref} {mood_act} because {she} [be] {bad_mood}.",
    "The {good_mood} {kind} [do] not cry.",
    "{ref} [be] {good_mood}, so {she} {mood_act}.",
]
_SEEN = [
    "{friend} [see] the {old_mood} {kind}",
    "{friend} [hear] the {old_mood} {kind}",
    "{friend} [see] {hero}",
    "Luckily, {friend} [come]",
]

_LOST = _plot(
    "lost",
    [
        "But {weather_loss}.",
        "Then {weather_loss}.",
        "Soon {weather_loss}.",
    ],
    [
        *_FEELING,
        "{ref} [look] for {the_thing} all {time}.",
        "{ref} [look] for it behind every tree.",
        "{ref} [can] not find {the_thing}.",
        "{ref} [ask] {friend} for help.",
    ],
    [
        "{friend} [find] {the_thing} {at} the {place}.",
        "{friend} [see] {the_thing} under a tree.",
        "{friend} [find] {the_thing} behind a bush.",
        "At last, {friend} [bring] {the_thing} back.",
        "Luckily, {friend} [find] {the_thing} in the {weather}.",
    ],
    needs="object",
    skippable=(1,),
)
_WEATHER = _plot(
    "weather",
    [
        "Soon {weather_trouble}.",
        "{ref} [want] to go home, but {weather_trouble}.",
        "{she} [hold] {the_thing} close, but {weather_trouble}.",
    ],
    [
        *_FEELING,
        "{she} [call] for {friend}.",
        "The {kind} [ask] for help in the {weather}.",
    ],
    [
        *(f"{seen} and {{weather_remedy}}." for seen in _SEEN),
        "{friend} [run] to the {place} and {weather_remedy}.",
    ],
    needs="weather",
    skippable=(1,),
)
_SURPRISE = _plot(
    "surprise",
    [
        "{friend} [have] a surprise for the {kind}.",
        "{friend} [hide] a gift {at} the {place}.",
        "{friend} [see] the {old_mood} {kind} and [think] of a surprise.",
        "It [be] a special {time}, and {friend} [bring] a gift.",
    ],
    [
        "{ref} [close] {poss} eyes, and {friend} [show] {him} {a_thing}.",
        "{ref} [look] under a cloth and [find] {a_thing}.",
        "The gift [be] {a_thing}, and {ref} [jump] with joy.",
        "{friend} [give] {hero} {a_thing}.",
    ],
    [
        "{ref} [want] to {use} {the_thing} at once.",
        "{ref} [hold] {the_thing} and [laugh].",
        "{she} [love] {the_thing}, so {she} [hug] {friend}.",
    ],
    needs="companion",
    skippable=(2,),
    withheld="object",
)
_VISIT = _plot(
    "visit",
    [
        "{ref} [want] to visit {friend}.",
        "{ref} [miss] {friend} and [knock] at the door.",
        "{ref} [take] {the_thing} to {friend} as a gift.",
    ],
    [
        "The road [be] long in the {weather}.",
        "On the way, {weather_trouble}.",
        "{she} [carry] {the_thing} in the {weather}.",
        "{ref} [be] {old_mood}, but {she} [walk] on.",
    ],
    [
        "{friend} [open] the door and [see] {the_thing}.",
        "{friend} [love] {the_thing} and [make] tea.",
        "{ref} [give] {the_thing} to {friend}, and {they} [drink+] tea.",
        "{friend} [hug] the {old_mood} {kind} and [take] {the_thing}.",
    ],
    needs="object",
    withheld="companion",
    skippable=(1,),
    owned=False,
)
_RACE_START = [
    "{hero} and {friend} [run+] a race, and the prize [be] {a_thing}.",
    "{ref} [run] a race with {friend}, and the prize [be] {a_thing}.",
    "{friend} [ask] {hero} to run a race for {a_thing}.",
    "The prize of the race with {friend} [be] {a_thing}.",
]
_RACE_WON = _plot(
    "race",
    _RACE_START,
    [
        "{friend} [be] fast, but {ref} [be] faster.",
        "{ref} [run] very hard in the {weather}.",
        "The {old_mood} {kind} [run] very fast.",
        "{ref} [run] around the {place} very fast.",
    ],
    [
        "So {ref} [win] {the_thing}.",
        "At last, {ref} [win] {the_thing}.",
        "{ref} [win] {the_thing}, and {friend} [laugh].",
    ],
    withheld="object",
)
_RACE_SHARED = _plot(
    "race",
    _RACE_START,
    ["{friend} [fall] because of the {weather}.", "{friend} [fall] over a stone near the {place}."],
    [
        "{ref} [stop] to help, so {they} [share+] {the_thing}.",
        "{hero} [help] {friend} up, and {they} [share+] {the_thing}.",
        "The {old_mood} {kind} [stop] and [help] {friend} up.",
    ],
    withheld="object",
    owned=False,
)
_MISHAPS = {
    "{friend} [leave] {a_thing} up in a tree": "[climb] the tree and [bring] {the_thing} down",
    "{friend} [drop] {a_thing} into a deep hole": "[pull] {the_thing} out with a long stick",
    "{friend} [drop] {a_thing} into the mud": "[make] {the_thing} clean with water",
    "{friend} [lose] {a_thing} in the dark": "[light] a candle and [find] {the_thing}",
    "{friend} [can] not carry {a_thing} alone": "[carry] {the_thing} home for {friend}",
}
_HELP = tuple(
    _plot(
        "help",
        [f"{mishap}.", f"Then {mishap}.", f"Soon {mishap}.", f"In the {{weather}}, {mishap}."],
        ["{friend} [ask] {hero} for help.", "{friend} [ask] the {old_mood} {kind} for help."],
        [f"{{ref}} {rescue}.", f"So {{hero}} {rescue}.", f"The {{old_mood}} {{kind}} {rescue}."],
        ["{friend} [hug] {hero}.", "{friend} [thank] the {kind} and [hold] {the_thing} close."],
        skippable=(1, 3),
        withheld="object",
        owned=False,
    )
    for mishap, rescue in _MISHAPS.items()
)
_SHARE = _plot(
    "share",
    [
        "{friend} [want] to {use} {the_thing} too.",
        "{friend} [ask] {hero} for {the_thing}.",
        "{friend} [look] at {the_thing} all {time}.",
    ],
    [
        "{ref} [say] no, so {friend} [cry].",
        "At first, {ref} [shake] {poss} head.",
        "{ref} [hide] {the_thing} behind a tree.",
    ],
    [
        "But {ref} [think] again and [share] {the_thing}.",
        "Then {ref} [give] {the_thing} to {friend}.",
        "Then {ref} [let] {friend} {use} {the_thing}.",
    ],
    needs="object companion",
    skippable=(1,),
    owned=False,
)
_FOUND = _plot(
    "found",
    [
        "{ref} [find] {a_thing} {at} the {place}.",
        "{ref} [see] {a_thing} on the path.",
        "In the {weather}, {ref} [find] {a_thing}.",
        "Under a tree [lie] {a_thing}.",
    ],
    [
        "{the_thing} [belong] to {friend}.",
        "{friend} [see] {the_thing} and [jump] with joy.",
        "{friend} [be] the owner of {the_thing}.",
    ],
    [
        "The {old_mood} {kind} [give] it back.",
        "{ref} [give] {the_thing} back, so {friend} [hug] {him}.",
        "{hero} [give] it back, and {friend} [thank] the {kind}.",
    ],
    withheld="object",
    owned=False,
)
_REPAIR = _plot(
    "repair",
    [
        "{she} [fall] over a stone, and {the_thing} {damage}.",
        "{she} [sit] on {the_thing}, and it {damage}.",
        "{she} [drop] {the_thing} in the {weather}, and it {damage}.",
        "Then {the_thing} {damage} {at} the {place}.",
    ],
    [*_FEELING, "{ref} [cry] and [show] {the_thing} to {friend}.", "{ref} [go] to {friend}."],
    [
        "{friend} [repair] {the_thing} with {means}.",
        "{friend} [take] some {means} and [repair] {the_thing}.",
        "{hero} and {friend} [repair+] {the_thing} with {means}.",
    ],
    needs="object mood",
)

PLOTS: tuple[tuple[Plot, ...], ...] = (
    (_LOST,),
    (_WEATHER,),
    (_SURPRISE,),
    (_VISIT,),
    (_RACE_WON, _RACE_SHARED),
    _HELP,
    (_SHARE,),
    (_FOUND,),
    (_REPAIR,),
)
PLOT_NAMES = tuple(branches[0].name for branches in PLOTS)
