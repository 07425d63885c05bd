"""Every word form of the grammar with its part of speech and semantic class.

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
        jump jumps jumped, lead leads led, leave leaves left, lift lifts lifted, pull pulls pulled,
        push pushes pushed, roll rolls rolled, run runs ran, sink sinks sank, stop stops stopped,
        throw throws threw, turn turns turned, visit visits visited, walk walks walked""",
    "possession": """
        belong belongs belonged, find finds found, get gets got, give gives gave, have has had,
        hold holds held, lose loses lost, share shares shared, take takes took, wear wears wore,
        win wins won""",
    "perception": """
        hear hears heard, look looks looked, see sees saw, show shows showed, hide hides hid""",
    "speech": """
        ask asks asked, call calls called, say says said, shout shouts shouted, sing sings sang,
        thank thanks thanked, whisper whispers whispered""",
    "feeling": """
        cry cries cried, feel feels felt, laugh laughs laughed, like likes liked, love loves loved, miss misses missed,
        sigh sighs sighed, scare scares scared,
        smile smiles smiled""",
    "thought": """
        know knows knew, need needs needed, think thinks thought,
        want wants wanted""",
    "body": """
        drink drinks drank, eat eats ate, hang hangs hung, hug hugs hugged, kick kicks kicked,
        lie lies lay, rest rests rested, shake shakes shook, sit sits sat, sleep sleeps slept,
        stamp stamps stamped, stand stands stood""",
    "action": """
        break breaks broke, close closes closed, fill fills filled, help helps helped,
        light lights lit, make makes made, meet meets met, fix fixes fixed, open opens opened,
        play plays played, read reads read, ring rings rang, tear tears tore,
        wave waves waved""",
    "change": """
        begin begins began, block blocks blocked, blow blows blew, clear clears cleared,
        cover covers covered, end ends ended, hit hits hit, hurt hurts hurt,
        pass passes passed, set sets set, burn burns burned""",
    "state": "live lives lived, let lets let, stay stays stayed",
}

_WORDS = {
    "aux function": "is was are were can could do does did",
    "det function": "a an the every some all no any that both",
    "num quantity": "one",
    "pron function": "he she him her they them it there who everything",
    "poss function": "his",
    "adp function": "at as in on by to for from with of near under behind into about over",
    "conj function": "and but so because when",
    "part function": "not",
    "adv direction": "away back along down up home out off around",
    "adv time": "first then soon now once again still today",
    "adv manner": "together too fast hard alone well close luckily",
    "adv degree": "more very longer",
    "adj quality": "good strong special long big deep thick tall warm hot cold dry wet soft clean late",
    "adj state": "lost gone stuck happy glad thirsty sleepy faster full last",
    "noun person": "friend friends owner",
    "noun body": "head feet eyes breath hands arms",
    "noun nature": "tree trees stone bush grass mud ground hole water path leaf",
    "noun object": "bag candle towel umbrella wall glue thread stick door cloth bed fire",
    "noun building": "house road way",
    "noun food": "tea soup bread cake",
    "noun abstract": "race prize gift surprise secret joy song sound plan while",
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
_LITERALS = {
    word: tag(*key.split()) for key, words in _WORDS.items() for word in words.split()
} | {base: tag("verb", forms[2]) for base, forms in VERBS.items()}


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
