"""Every word form of the grammar with its part of speech and semantic class.

A written-out word has one tag wherever it stands (`over` is a preposition even after a verb);
only `to` is told apart by what follows.
The vocabulary is closed: a frame that uses a word unknown here is refused when it is compiled,
so that no word of a story goes without labels.
"""

from collections.abc import Mapping
from types import MappingProxyType

PLURAL_MARK = "+"

_VERBS = {
    "motion": """
        bring brings brought, carry carries carried, climb climbs climbed, come comes came,
        dance dances danced, drop drops dropped, fall falls fell, fly flies flew, go goes went,
        jump jumps jumped, knock knocks knocked, leave leaves left, lift lifts lifted,
        pull pulls pulled, push pushes pushed, roll rolls rolled, run runs ran,
        stop stops stopped, throw throws threw, visit visits visited, walk walks walked""",
    "possession": """
        belong belongs belonged, find finds found, get gets got, give gives gave, have has had,
        hold holds held, lose loses lost, share shares shared, take takes took, wear wears wore,
        win wins won""",
    "perception": """
        hear hears heard, hide hides hid, look looks looked, see sees saw, show shows showed""",
    "speech": """
        ask asks asked, call calls called, say says said, shout shouts shouted,
        thank thanks thanked""",
    "feeling": """
        cry cries cried, feel feels felt, laugh laughs laughed, like likes liked,
        love loves loved, miss misses missed, scare scares scared, sigh sighs sighed,
        smile smiles smiled, think thinks thought, want wants wanted""",
    "body": """
        drink drinks drank, eat eats ate, hug hugs hugged, lie lies lay, shake shakes shook,
        sit sits sat, sleep sleeps slept, stand stands stood""",
    "action": """
        break breaks broke, close closes closed, fill fills filled, help helps helped,
        light lights lit, make makes made, meet meets met, open opens opened,
        play plays played, read reads read, repair repairs repaired, ring rings rang,
        tear tears tore""",
    "change": """
        begin begins began, blow blows blew, burn burns burned, cover covers covered,
        end ends ended, pass passes passed""",
    "state": "let lets let, live lives lived, stay stays stayed",
}

_WORDS = {
    "aux function": "is was are were can could does did",
    "det function": "a an the every some all no that",
    "num quantity": "one",
    "pron function": "he she him her they it there who",
    "poss function": "his",
    "adp function": "at as in on by to for from with of near under behind into over",
    "conj function": "and but so because when",
    "part function": "not",
    "adv direction": "away back along down up home out around",
    "adv time": "first then soon now once again still",
    "adv manner": "together too fast hard alone close luckily suddenly",
    "adv degree": "very longer",
    "adj quality": "good strong special long deep thick warm hot cold dry wet clean dark",
    "adj state": "lost happy glad thirsty faster last",
    "noun person": "friend owner",
    "noun body": "head eyes breath",
    "noun nature": "tree trees stone bush mud hole water path",
    "noun object": "bag candle towel wall glue thread stick door cloth",
    "noun building": "house road way",
    "noun food": "tea soup cake",
    "noun abstract": "race prize gift surprise joy while",
    "verb participle": "named",
}


def _verb_table() -> dict[str, tuple[str, str, str]]:
    """Base form -> (third person singular, past, semantic class)."""
    table = {}
    for semantic_class, listing in _VERBS.items():
        for forms in listing.split(","):
            base, singular, past = forms.split()
            table[base] = (singular, past, semantic_class)
    return table


VERBS: Mapping[str, tuple[str, str, str]] = MappingProxyType(_verb_table())
AUXILIARIES: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    # base -> present singular, present plural, past singular, past plural
    {
        "be": ("is", "are", "was", "were"),
        "can": ("can", "can", "could", "could"),
        "do": ("does", "do", "did", "did"),
    }
)


def tag(pos: str, semantic_class: str) -> Mapping[str, str]:
    """Return the labels of a word; equal labels are one shared read-only mapping."""
    key = (pos, semantic_class)
    if key not in _TAGS:
        _TAGS[key] = MappingProxyType({"pos": pos, "semantic_class": semantic_class})
    return _TAGS[key]


_TAGS: dict[tuple[str, str], Mapping[str, str]] = {}
_LITERALS = {base: tag("verb", forms[2]) for base, forms in VERBS.items()} | {
    word: tag(*key.split()) for key, listing in _WORDS.items() for word in listing.split()
}
INFINITIVE_TO = tag("part", "function")


def literal_tag(word: str) -> Mapping[str, str]:
    """Return the labels of a word written out in a frame.

    Raises:
        ValueError: when the word is in no list of this module.
    """
    if word.lower() not in _LITERALS:
        raise ValueError(f"the word {word!r} has no labels: list it in data/stories/words.py")
    return _LITERALS[word.lower()]


def inflect(verb: str, tense: str) -> tuple[str, Mapping[str, str]]:
    """Inflect a verb for a third person; `be+` asks for the plural.

    Args:
        verb: a base form, with a trailing `+` where the subject is plural.
        tense: "past" or "present".

    Returns:
        The surface form and its labels.

    Raises:
        ValueError: when the verb is unknown.
    """
    base = verb.removesuffix(PLURAL_MARK)
    plural = verb.endswith(PLURAL_MARK)
    past = tense == "past"
    if base in AUXILIARIES:
        return AUXILIARIES[base][2 * past + plural], tag("aux", "function")
    if base not in VERBS:
        raise ValueError(f"the verb {base!r} is unknown: list it in data/stories/words.py")
    singular, preterite, semantic_class = VERBS[base]
    present = base if plural else singular
    return preterite if past else present, tag("verb", semantic_class)
