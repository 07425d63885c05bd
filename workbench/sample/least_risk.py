"""Minimum Bayes risk decoding: of several continuations, the one nearest to the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.sample.continued import Continuations


def least_risk(drawn: Sequence[Continuations]) -> Continuations:
    """Keep for each prompt the candidate with the highest mean sentence BLEU against the others.

    Args:
        drawn: the same prompts, continued two times or more; of equals the first is kept. Network
            evaluations and seconds of all of them count.

    Source: Kumar and Byrne 2004, N04-1022; Li et al. 2022, arXiv 2205.14217, section 4.4.
    """
    first = drawn[0]
    chosen = [
        drawn[_nearest([part.texts[row] for part in drawn])] for row in range(len(first.texts))
    ]
    return Continuations(
        prompts=first.prompts,
        texts=[part.texts[row] for row, part in enumerate(chosen)],
        token_ids=[part.token_ids[row] for row, part in enumerate(chosen)],
        ended=np.array([part.ended[row] for row, part in enumerate(chosen)], bool),
        nfe=sum(part.nfe for part in drawn),
        seconds=sum(part.seconds for part in drawn),
        trace=None,
    )


def _nearest(candidates: Sequence[str]) -> int:
    """Which of several texts has the least expected risk, 1 - BLEU, against the others."""
    from sacrebleu import sentence_bleu

    gains = [
        sum(
            sentence_bleu(text, [other]).score
            for place, other in enumerate(candidates)
            if place != own
        )
        for own, text in enumerate(candidates)
    ]
    return int(np.argmax(gains))
