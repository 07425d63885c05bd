"""Beats that every plot shares: openings, set-ups and closings."""

from data.stories.frames import compile_frames

OPENINGS = compile_frames(
    [
        "One {time}, {hero} the {kind} [take] {her_thing} to the {place}.",
        "One {time}, {hero} the {kind} [bring] {her_thing} to the {place}.",
        "One {time}, {hero} the {kind} [walk] to the {place} with {friend}.",
        "One {time}, {hero} the {kind} [feel] {mood} near the {place}.",
        "One {time}, {hero} the {kind} [be] {at} the {place} and [feel] {mood}.",
        "One {time}, {weather_begins}, and {hero} the {kind} [feel] {mood}.",
        "One {time}, {weather_begins} when {hero} the {kind} [be] {at} the {place}.",
        "{hero} [be] a {mood} {kind} who [live] near the {place}.",
        "{hero} the {kind} [live] near the {place} and [have] {a_thing}.",
        "{hero} the {kind} [go] to the {place} with {friend} and {her_thing}.",
        "{hero} the {kind} [get] {a_thing} from {friend} one {time}.",
        "{hero} the {kind} and {friend} [meet+] {at} the {place} one {time}.",
        "Near the {place} [live] a {mood} {kind} named {hero}.",
        "There [be] a {mood} {kind} named {hero} who [have] {a_thing}.",
        "A {mood} {kind} named {hero} [walk] to the {place} one {time}.",
        "A {mood} {kind} named {hero} [come] to the {place} with {her_thing}.",
    ]
)

SETUPS = compile_frames(
    [
        "{she} [carry] {a_thing} in {poss} bag.",
        "{she} [love] {her_thing}.",
        "{she} [like] to {use} {her_thing}.",
        "{she} [want] to {use} {her_thing} with {friend}.",
        "{she} [want] to {use} {her_thing}, but {weather_begins}.",
        "{she} [hold] {her_thing} when {weather_begins}.",
        "{she} [be] {mood} and [have] {a_thing}.",
        "{she} [show] {her_thing} to {friend}.",
        "{friend} [give] {him} {a_thing}.",
        "{friend} [like] {her_thing}.",
        "{friend} [come] along, and {weather_begins}.",
        "{friend} [be] there too, and {weather_begins}.",
        "{friend} [be] there too.",
        "{friend} [stay] close when {weather_begins}.",
        "{she} [play] with {friend} when {weather_begins}.",
        "{she} [feel] {mood}, and {friend} [be] there.",
        "{she} [feel] {mood}, and {weather_begins}.",
        "{she} [be] {low_mood} because {weather_begins}.",
        "{weather_begins}, and {she} [feel] {mood}.",
        "{weather_begins}, but {she} [walk] on with {friend}.",
        "Suddenly, {weather_begins}.",
        "{she} [feel] {mood}.",
        "{she} [go] to the {new_place} with {friend}.",
    ]
)

CLOSINGS = compile_frames(
    [
        "{ref} [thank] {friend} and [hold] {my_thing} close.",
        "{ref} [take] {my_thing} home, and {friend} [smile].",
        "{ref} [smile] at {friend} and at {the_thing}.",
        "Now {ref} [can] {use} {my_thing}.",
        "{hero} and {friend} [walk+] home from the {place} together.",
        "{hero} and {friend} [dance+] {at} the {place} all {time}.",
        "{hero} and {friend} [be+] happy all {time}.",
        "{they} [take+] {the_thing} and [leave+] the {place}.",
        "{they} [stay+] {at} the {place} with {the_thing}.",
        "{they} [laugh+] and [eat+] cake {at} the {place}.",
        "It [be] a good {time} for {hero} and {friend}.",
        "That {time}, the {kind} [be] not {bad_mood}.",
        "That {time}, {hero} and {friend} [be+] glad.",
        "{ref} [be] no longer {bad_mood}.",
        "{ref} [be] not {bad_mood} now, and {friend} [smile].",
        "{ref} [hug] {friend} and [be] no longer {bad_mood}.",
        "{ref} [feel] {good_mood} and [smile] at {friend}.",
        "{ref} [be] still {good_mood}, and {friend} [be] glad.",
        "The {good_mood} {kind} and {friend} [walk+] home.",
        "Then {weather_ends}, and {they} [leave+] the {place}.",
        "Soon {weather_ends}, and {they} [walk+] home.",
        "When {weather_ends}, {ref} [hug] {friend}.",
        "When {weather_ends}, {ref} [take] {my_thing} home.",
    ]
)
