"""The rungs of the ladder: human continuations of the study's prompts, damaged by known amounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analyses.texts.generation_controls import control_texts
from analyses.texts.ngram_chain import NgramChain
from workbench.train.texts import middle_cuts

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.sample.references import References

CHAIN_ORDERS = {"chain_4gram": 4, "chain_bigram": 2}


def rung_continuations(
    name: str, corpus: Corpus, references: References, seed: int
) -> tuple[list[str], list[np.ndarray]]:
    """Texts and tokens of one rung, one continuation per prompt, deterministic under `seed`.

    Raises:
        ValueError: unknown rung.
    """
    if name == "human":
        return references.continuations, references.token_ids
    if name not in CHAIN_ORDERS:
        texts = control_texts(name, references.prompts, references.continuations, seed=seed)
        return texts, [e.token_ids for e in corpus.tokenizer.encode_batch(texts)]
    order = CHAIN_ORDERS[name]
    chain = NgramChain(
        corpus.split("train").token_rows(),
        vocab_size=corpus.vocab_size,
        eot_id=corpus.tokenizer.eot_id,
        order=order,
    )
    longest = corpus.window - 1 - references.cuts
    rng = np.random.default_rng([seed, order])
    tokens = chain.continuations(prompt_tokens(corpus, references), longest.tolist(), rng)
    return [corpus.tokenizer.decode(ids) for ids in tokens], tokens


def prompt_tokens(corpus: Corpus, references: References) -> list[np.ndarray]:
    """Token ids of each prompt."""
    rows, _ = corpus.split("test").padded(references.indices)
    return [row[:cut].astype(np.int64) for row, cut in zip(rows, references.cuts, strict=True)]


def other_people(
    corpus: Corpus, count: int, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Prompts and continuations, as tokens, of human texts other than the references.

    The rungs are damaged references. A two-sample score that compared them with the references
    would see the same texts on both sides. Validation texts come first, then training texts, up to
    `count` of them.
    """
    rows: list[np.ndarray] = []
    for number, name in enumerate(("valid", "train")):
        usable = [ids for ids in corpus.split(name).token_rows() if len(ids) >= 2]
        order = np.random.default_rng([seed, 5, number]).permutation(len(usable))
        rows += [usable[place] for place in order[: count - len(rows)]]
    cuts: Sequence[int] = middle_cuts(np.array([len(ids) for ids in rows], np.int64)).tolist()
    return (
        [ids[:cut] for ids, cut in zip(rows, cuts, strict=True)],
        [ids[cut:] for ids, cut in zip(rows, cuts, strict=True)],
    )
