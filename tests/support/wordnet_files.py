"""A small WordNet, in the format of its database files."""

from pathlib import Path

NOUNS = [
    ("05", "dog", 'a small animal that barks and wags its tail; "the dog barked all night"'),
    ("05", "cat", "a small animal that purrs and sleeps on warm stoves all day"),
    ("20", "oak", "a tall tree with hard wood; its seeds are acorns"),
    ("20", "moss", "a small green plant"),
    ("13", "soup", "a liquid food made by boiling meat and vegetables in water"),
    ("06", "chair", "a seat for one person with a support for the back"),
]
VERBS = [
    ("38", "stroll", 'walk in a slow and easy way without a special aim; "they strolled"'),
    ("34", "sip", "drink in small amounts and only a little at a time"),
]
ADJECTIVES = [("00", "brittle", "having little strength and likely to break when it is bent")]
ADVERBS = [("02", "seldom", "not often and only at times that are far from each other")]
LICENCE = "  1 This software is provided as it is.\n"


def write_wordnet(folder: Path) -> Path:
    """Nine definitions of eight words and more, and one that is too short."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"noun": NOUNS, "verb": VERBS, "adj": ADJECTIVES, "adv": ADVERBS}
    for name, entries in parts.items():
        lines = [
            f"{place:08d} {number} {name[0]} 01 {word} 0 000 | {gloss}  \n"
            for place, (number, word, gloss) in enumerate(entries)
        ]
        (folder / f"data.{name}").write_text(LICENCE + "".join(lines), encoding="utf-8")
    return folder
