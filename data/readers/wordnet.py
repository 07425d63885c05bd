"""Definitions of WordNet's words: real short texts, labelled by the lexicographers' 45 classes.

Read from the database files (`data.noun` and so on) of WordNet 3.0, which Debian's package
`wordnet-base` installs. Format: wndb(5WN); classes: lexnames(5WN).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.corpus_config import CorpusConfig
from data.documents import Document

DEFAULT_FOLDER = "/usr/share/wordnet"
FILES = {"data.noun": "noun", "data.verb": "verb", "data.adj": "adjective", "data.adv": "adverb"}
FEWEST_WORDS, MOST_WORDS = 8, 40
# By the number of the lexicographer file.
CLASSES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact"),
    *("noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event"),
    *("noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object"),
    *("noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process"),
    *("noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance"),
    *("noun.time", "verb.body", "verb.change", "verb.cognition", "verb.communication"),
    *("verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion"),
    *("verb.motion", "verb.perception", "verb.possession", "verb.social", "verb.stative"),
    *("verb.weather", "adj.ppl"),
)


def read_glosses(config: CorpusConfig) -> Iterator[Document]:
    """Definitions of 8 to 40 words, without their examples, in one fixed random order.

    The files are sorted by class; in this order even the first few are of many. They are held in
    memory meanwhile, about 10 MB.

    Raises:
        ValueError: a file is missing or is not WordNet's.
    """
    folder = Path(config.path or DEFAULT_FOLDER).expanduser()
    documents = [
        document for name, word in FILES.items() for document in _definitions(folder / name, word)
    ]
    for place in np.random.default_rng(0).permutation(len(documents)):
        yield documents[place]


def _definitions(file: Path, word: str) -> Iterator[Document]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{file}: cannot be read ({type(error).__name__}): the corpus 'glosses' needs "
            "WordNet's files data.noun, data.verb, data.adj and data.adv; install Debian's package "
            "wordnet-base, or name their folder as corpus.path"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.startswith("  "):  # the licence
            continue
        head, bar, gloss = line.partition(" | ")
        fields = head.split(" ", 2)
        known = bar and len(fields) == 3 and fields[1].isdecimal()
        if not known or int(fields[1]) >= len(CLASSES):
            raise ValueError(f"{file}:{number}: not a line of WordNet's database: {line[:40]!r}")
        text = gloss.partition('; "')[0].strip()
        if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS:
            labels = {"class": CLASSES[int(fields[1])], "headword": word}
            yield Document(text=text, labels=labels)
