"""The held-out prompts of a study, their human continuations, and the scores' floors and ceilings.

Computed once per study: every arm gets the same prompts and is compared with the same texts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.machine.context import StageContext, stage_fingerprint
from workbench.store.atomic import publish
from workbench.store.manifest import is_complete
from workbench.study.model_content import ENCODER_CONTENT, encoder_content, is_exchanged
from workbench.train.texts import middle_cuts

if TYPE_CHECKING:
    import pandas as pd

    from data.corpus_store import Corpus
    from workbench.study.folders import Study


@dataclass(frozen=True)
class References:
    """Prompts and what a human wrote next.

    Attributes:
        indices: (N,) rows of the test split.
        cuts: (N,) context tokens of each.
        prompts: N texts.
        continuations: N human continuations.
        facts: N mappings field -> value, empty where the corpus has none.
        token_ids: N arrays of the human continuations' tokens, without end-of-text.
        embeddings: (N, W) float32 of the continuations.
    """

    indices: np.ndarray
    cuts: np.ndarray
    prompts: list[str]
    continuations: list[str]
    facts: list[dict[str, str]]
    token_ids: list[np.ndarray]
    embeddings: np.ndarray


def pick_prompts(corpus: Corpus, num_prompts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Test texts with at least two tokens, and their middle cuts, in a seeded order.

    Raises:
        ValueError: the corpus has no such text.
    """
    split = corpus.split("test")
    usable = np.flatnonzero(np.asarray(split.lengths) >= 2)
    if len(usable) == 0:
        raise ValueError("the test split has no text of two tokens or more: add documents")
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(usable)[:num_prompts])
    return chosen, middle_cuts(split.lengths[chosen])


def references_fingerprint(study: Study) -> str:
    """Fingerprint of the stage."""
    corpus = study.corpus
    config = study.config.base
    return stage_fingerprint(
        corpus.manifest["content_hash"],
        config.sampling.num_prompts,
        config.evaluation.encoder,
        config.seed,
    )


def prepare_references(study: Study, context: StageContext) -> None:
    """Choose the prompts and embed their human continuations; done once per study."""
    corpus = study.corpus
    from models.text_encoder import load_text_encoder

    config = study.config.base
    print_ = references_fingerprint(study)
    content = encoder_content(config.evaluation)
    if is_complete(study.references_dir, print_) and not is_exchanged(
        study.references_dir, content, ENCODER_CONTENT
    ):
        return
    context.reporter.update("references", 0, 1, {})
    indices, cuts = pick_prompts(corpus, config.sampling.num_prompts, config.seed)
    prompts, continuations, tokens = split_texts(corpus, indices, cuts)
    encoder = load_text_encoder(config.evaluation.encoder)
    with (
        publish(
            study.references_dir, meta={"fingerprint": print_, ENCODER_CONTENT: content}
        ) as folder,
        context.stop.interrupting("references"),
    ):
        np.save(folder / "embeddings.npy", encoder.embed(continuations))
        frame = _frame(corpus, indices, cuts, prompts, continuations, tokens)
        frame.to_parquet(folder / "prompts.parquet", index=False)
    context.reporter.update("references", 1, 1, {"prompts": len(indices)})


def split_texts(
    corpus: Corpus, indices: np.ndarray, cuts: np.ndarray
) -> tuple[list[str], list[str], list[np.ndarray]]:
    """Prompts, continuations, and the continuations' tokens, decoded by the tokeniser."""
    split, tokenizer = corpus.split("test"), corpus.tokenizer
    prompts, continuations, tokens = [], [], []
    for index, cut in zip(indices, cuts, strict=True):
        start, length = int(split.starts[index]), int(split.lengths[index])
        ids = np.asarray(split.flat_token_ids[start : start + length], np.int64)
        prompts.append(tokenizer.decode(ids[:cut]))
        continuations.append(tokenizer.decode(ids[cut:]))
        tokens.append(ids[cut:])
    return prompts, continuations, tokens


def _frame(
    corpus: Corpus,
    indices: np.ndarray,
    cuts: np.ndarray,
    prompts: list[str],
    continuations: list[str],
    tokens: list[np.ndarray],
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "index": indices,
            "cut": cuts,
            "prompt": prompts,
            "continuation": continuations,
            "token_ids": [ids.tolist() for ids in tokens],
            "facts": [json.dumps(facts) for facts in corpus.split("test").facts(indices)],
        }
    )


def first_references(references: References, count: int) -> References:
    """The first `count` prompts with everything that belongs to them."""
    kept = {field.name: getattr(references, field.name)[:count] for field in fields(references)}
    return References(**kept)


def open_references(directory: Path) -> References:
    """Read what `prepare_references` wrote."""
    import pandas as pd

    frame = pd.read_parquet(directory / "prompts.parquet")
    return References(
        indices=frame["index"].to_numpy(),
        cuts=frame["cut"].to_numpy(),
        prompts=frame["prompt"].tolist(),
        continuations=frame["continuation"].tolist(),
        facts=[json.loads(text) for text in frame["facts"]],
        token_ids=[np.asarray(ids, np.int64) for ids in frame["token_ids"]],
        embeddings=np.load(directory / "embeddings.npy"),
    )
