"""One prompt continued by a generator of another family, on the clock of the arms' playback.

Its steps are placed by their share of the way, so that masks are revealed beside latents that
condense. A model with masks has them from the start; any other shows its present guess, and a
language model one token more at each of its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.machine.context import StageContext
from workbench.sample.generators import WritingTrace, write_texts
from workbench.sample.playback import (
    AS_IN_THE_END,
    ENTROPY,
    FIDELITY,
    NATS,
    KeptFact,
    MomentReader,
    PlaybackView,
    commit_steps,
)

if TYPE_CHECKING:
    from workbench.study.generators import GeneratorRun

MASK = "░"


@dataclass(frozen=True, kw_only=True, slots=True)
class WritingFollowed:
    """A text's writing at M moments of a clock, with T positions after the prompt.

    Attributes:
        t: (M,) share of the way of each moment.
        nfe: network evaluations of the whole text.
        tokens: the token at each moment, or `MASK` where a model with masks has not settled it.
        is_text: (M, T) bool, before the first end-of-text that stands there.
        commit: (T,) first moment from which each token stays.
        entropy: (M, T) nats; NaN where nothing has been predicted yet.
        curves: name -> (M,) of the present guess, NaN at moments without text.
        text: the text at the last moment.
        facts: expected facts of the prompt.
    """

    t: np.ndarray
    nfe: int
    tokens: list[list[str]]
    is_text: np.ndarray
    commit: np.ndarray
    entropy: np.ndarray
    curves: dict[str, np.ndarray]
    text: str
    facts: list[KeptFact]


@dataclass(frozen=True, kw_only=True)
class WritingFollower(MomentReader):
    """Everything needed to follow prompts through one generator.

    Attributes:
        run: the generator.
        model: its trained network.
    """

    run: GeneratorRun
    model: Any

    def follow(
        self, view: PlaybackView, num_moments: int, context: StageContext
    ) -> WritingFollowed:
        """Continue the view's prompt under the generator's own settings of writing.

        Args:
            view: its prompt and seed are used.
            num_moments: M, of the arms on the same clock.
            context: device and stop signal.
        """
        written, trace = write_texts(
            self.model,
            self.corpus,
            self.prompt(view),
            context,
            sampling=self.run.config.sampling,
            seed=view.seed,
            trace=True,
        )
        assert trace is not None
        cut, eot = int(trace.cuts[0]), self.corpus.tokenizer.eot_id
        ids, settled, entropy = on_clock(trace, num_moments, eot)
        target = ids[:, cut:]
        has_masks = self.run.config.kind.has_masks
        guessed = np.cumsum(target == eot, axis=1) == 0
        is_text = np.cumsum((target == eot) & settled[:, cut:], axis=1) == 0
        shown = settled[:, cut:] if has_masks else np.ones_like(is_text)
        texts = [self.corpus.tokenizer.decode(line) for line in target]
        facts = self.facts(view, texts)
        return WritingFollowed(
            t=np.linspace(0, 1, num_moments),
            nfe=int(trace.nfe[-1]),
            tokens=[
                [word if done else MASK for word, done in zip(words, line, strict=True)]
                for words, line in zip(
                    map(self.corpus.tokenizer.decode_tokens, target), shown, strict=True
                )
            ],
            is_text=is_text if has_masks else guessed,
            commit=settled[:, cut:].argmax(axis=0) if has_masks else commit_steps(target),
            entropy=entropy[:, cut:],
            curves=self._curves(ids, cut, guessed, entropy[:, cut:], facts),
            text=written.texts[0],
            facts=facts,
        )

    def _curves(
        self,
        ids: np.ndarray,
        cut: int,
        is_text: np.ndarray,
        entropy: np.ndarray,
        facts: Sequence[KeptFact],
    ) -> dict[str, np.ndarray]:
        """What the arms' curves say of decoded latents, of the present guess."""
        target, counts = ids[:, cut:], is_text.sum(axis=1)
        known = is_text & np.isfinite(entropy)
        mean = (np.nan_to_num(entropy) * known).sum(axis=1) / np.maximum(1, known.sum(axis=1))
        curves = {
            ENTROPY: mean,
            AS_IN_THE_END: (target == target[-1]).mean(axis=1),
            NATS: self.nats(ids, cut),
        }
        if facts:
            curves[FIDELITY] = np.mean([fact.kept for fact in facts], axis=0)
        return {name: np.where(counts > 0, values, np.nan) for name, values in curves.items()}


def on_clock(
    trace: WritingTrace, num_moments: int, eot: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first text of a trace at equally spaced moments, the first before anything is written.

    Returns:
        Tokens (M, L) int64, which of them are settled (M, L) bool, entropies (M, L) float32.
    """
    cut = int(trace.cuts[0])
    blank = np.where(np.arange(trace.token_ids.shape[2]) < cut, trace.token_ids[0, 0], eot)
    ids = np.concatenate([blank[None], trace.token_ids[:, 0]])
    settled = np.concatenate([(np.arange(len(blank)) < cut)[None], trace.written[:, 0]])
    entropy = np.concatenate([np.full_like(trace.entropy[:1, 0], np.nan), trace.entropy[:, 0]])
    # The last step that has been reached at each moment; rounding must not lose the last one.
    moments = np.linspace(0, 1, num_moments)
    places = np.searchsorted(trace.t, moments + 1e-9, side="right")
    places[0] = 0
    return ids[places], settled[places], entropy[places]
