"""Fill gaps in a user's texts with a generator that sees both sides of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from models.generators.families import FAMILIES
from workbench.errors import InputError
from workbench.sample.generators import write_texts
from workbench.sample.prompts import Prompts
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.machine.context import StageContext
    from workbench.sample.continued import Continuations
    from workbench.study.generators import GeneratorRun

GAP = "___"


def fill_gaps(
    run: GeneratorRun,
    texts: list[str],
    length: int,
    context: StageContext,
    *,
    seed: int = 0,
    **options: Any,
) -> Continuations:
    """Write the gap of each text; one text at a time, so that not even rounding ties them.

    Args:
        run: the generator.
        texts: each with one gap, written `___`.
        length: tokens of a gap.
        context: device, reporter and stop signal.
        seed: of the random numbers, with each text.
        options: settings of writing by name; None takes the generator's own.

    Returns:
        What stands before each gap as `prompts`, and the gap with what follows it as `texts`.

    Raises:
        InputError: its family cannot fill gaps, a text does not have one gap or is too long, or
            the generator is not trained yet.
    """
    refuse_one_sided(run)
    corpus, sampling = run.study.corpus, run.config.writing(**options)
    prompts, given = gapped_prompts(corpus, texts, length)
    model = load_trained(run, context.place)
    written, _ = write_texts(
        model, corpus, prompts, context,
        sampling=sampling, seed=seed, batch_size=1, stage="infilling", given=given,
    )  # fmt: skip
    return written


def refuse_one_sided(run: GeneratorRun, task: str = "fill a gap") -> None:
    """Refuse a generator that does not see what stands behind the place it writes at.

    Args:
        run: the generator.
        task: what it is asked to do.

    Raises:
        InputError: naming the families that do.
    """
    if not run.config.kind.infills:
        known = ", ".join(name for name, family in FAMILIES.items() if family.infills)
        raise InputError(f"{run.config.family} cannot {task}: it sees one side; {known} can")


def gapped_prompts(corpus: Corpus, texts: list[str], length: int) -> tuple[Prompts, np.ndarray]:
    """Windows of texts with a gap, cut where it begins, and (N, window) bool what is given.

    End-of-text behind a text is given as well: the gap's length and the text's end stay.

    Raises:
        InputError: a text does not have one gap, or does not fit the window.
    """
    if length < 1:
        raise InputError(f"a gap must have one token or more, got {length}")
    token_ids = np.full((len(texts), corpus.window), corpus.tokenizer.eot_id, np.int64)
    given = np.ones(token_ids.shape, bool)
    cuts = np.zeros(len(texts), np.int64)
    identities: list[int] = []
    before: list[str] = []
    for row, text in enumerate(texts):
        sides = text.split(GAP)
        if len(sides) != 2:
            raise InputError(f"text {row + 1} must have one gap {GAP}, got {len(sides) - 1}")
        first, second = (e.token_ids for e in corpus.tokenizer.encode_batch(sides))
        cut, total = len(first), len(first) + length + len(second)
        if total > corpus.window:
            raise InputError(
                f"text {row + 1} has {total} tokens with its gap and the window {corpus.window}"
            )
        token_ids[row, :cut] = first
        token_ids[row, cut + length : total] = second
        given[row, cut : cut + length] = False
        cuts[row] = cut
        content = hashlib.sha256(first.tobytes() + b"|" + second.tobytes()).digest()
        identities.append(int.from_bytes(content[:7], "little"))
        before.append(sides[0].strip())
    return Prompts(token_ids, cuts, np.array(identities, np.int64), before), given
