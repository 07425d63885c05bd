"""How well a generator's gaps fit between what stands around them, beside human text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from data.spread import spread_rows
from workbench.errors import InputError
from workbench.sample.generators import write_texts
from workbench.sample.infill import refuse_one_sided
from workbench.sample.prompts import Prompts
from workbench.score.unseen_words import ORDER, training_runs
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.machine.context import StageContext
    from workbench.study.generators import GeneratorRun


def measure_infilling(
    run: GeneratorRun,
    length: int,
    count: int,
    context: StageContext,
    *,
    seed: int = 0,
    **options: Any,
) -> dict[str, Any]:
    """Share of the 4-grams over a gap's two edges that the training texts hold.

    The middle of held-out texts is taken out and written again. The same share is counted for the
    human middle, and for the middle of the next text, which is fluent in itself but fits nothing.

    Args:
        run: a trained generator whose family can fill gaps.
        length: tokens of a gap.
        count: texts, the first ones of the test split that have three tokens on both sides.
        context: device, reporter and stop signal.
        seed: of the random numbers, with each text.
        options: settings of writing by name; None takes the generator's own.

    Returns:
        `written`, `human` and `another`, each a share with its interval and n; `difference` of
        `written` and `human`, paired; `texts`: a few, with their gaps in brackets.

    Raises:
        InputError: its family cannot fill gaps, or fewer than two texts are long enough.
    """
    from analyses.statistics.intervals import bootstrap, paired_bootstrap

    refuse_one_sided(run)
    corpus, sampling = run.study.corpus, run.config.writing(**options)
    prompts, given, human = held_out_gaps(corpus, length, count)
    written, _ = write_texts(
        load_trained(run, context.place), corpus, prompts, context,
        sampling=sampling, seed=seed, stage="infilling", given=given,
    )  # fmt: skip
    sides = list(zip(prompts.token_ids, prompts.cuts, human, strict=True))
    before = [row[:cut] for row, cut, _ in sides]
    behind = [text[cut + length :] for _, cut, text in sides]
    middles = {
        "written": [
            ids[: len(ids) - len(rest)] for ids, rest in zip(written.token_ids, behind, strict=True)
        ],
        "human": [text[cut : cut + length] for _, cut, text in sides],
    }
    middles["another"] = [*middles["human"][1:], middles["human"][0]]
    seen = training_runs(corpus)

    def shares(kind: str) -> np.ndarray:
        parts = zip(before, middles[kind], behind, strict=True)
        return np.array(
            [
                seen.valid(np.concatenate(part))[ORDER][over_edges(*map(len, part))].mean()
                for part in parts
            ]
        )

    found = {kind: shares(kind) for kind in middles}
    decode = corpus.tokenizer.decode
    parts = zip(before, middles["written"], behind, strict=True)
    difference = asdict(paired_bootstrap(found["written"], found["human"]))
    return {
        **{kind: asdict(bootstrap(values)) for kind, values in found.items()},
        "difference": {"mean": difference.pop("difference"), **difference},
        "texts": [f"{decode(a)} [{decode(b)}] {decode(c)}" for a, b, c in list(parts)[:3]],
    }


def over_edges(before: int, gap: int, behind: int) -> np.ndarray:
    """(n - 3,) bool: which runs of four of a text's n tokens stand over an edge of its gap."""
    start = np.arange(before + gap + behind - ORDER + 1)
    first, second = ((start < edge) & (edge < start + ORDER) for edge in (before, before + gap))
    return first | second


def held_out_gaps(
    corpus: Corpus, length: int, count: int
) -> tuple[Prompts, np.ndarray, list[np.ndarray]]:
    """Windows of the test split without their middle, (N, window) bool what is given, and texts.

    Raises:
        InputError: `length` is below 1, or fewer than two texts are long enough.
    """
    split, least = corpus.split("test"), length + 2 * (ORDER - 1)
    rows = spread_rows(np.flatnonzero(np.asarray(split.lengths) >= least), count)
    if length < 1 or len(rows) < 2:
        raise InputError(
            f"--length {length}: needs a gap of one token or more, and two or more held-out texts "
            f"of {least} tokens; {len(rows)} of {count} asked for were found"
        )
    token_ids, mask = split.padded(rows)
    texts = [ids[kept] for ids, kept in zip(token_ids, mask, strict=True)]
    cuts = (mask.sum(axis=1) - length) // 2
    places = np.arange(token_ids.shape[1]) - cuts[:, None]
    given = (places < 0) | (places >= length)
    token_ids = np.where(given, token_ids, corpus.tokenizer.eot_id)
    before = [corpus.tokenizer.decode(ids[:cut]) for ids, cut in zip(texts, cuts, strict=True)]
    return Prompts(token_ids, cuts.astype(np.int64), rows.astype(np.int64), before), given, texts
