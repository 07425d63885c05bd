"""Which end of each generation score is the good one, and the notes that some scores need.

Imports nothing heavy, so that pages and tables can use it.
"""

from __future__ import annotations

from collections.abc import Mapping

ACCURACY = "reconstruction.token_accuracy"
# Below this, arms have not learnt to reconstruct, so their texts say nothing about them.
READY_ACCURACY = 0.99
# By name, up to a bracket. Scores not listed here have no good end.
HIGHER_IS_BETTER: Mapping[str, bool] = {
    "rouge1": True,
    "rouge2": True,
    "rougeL": True,
    "embedding_f1": True,
    "valid_2gram": True,
    "valid_3gram": True,
    "valid_4gram": True,
    "nats_per_token": False,
    "nats": False,
    "repetition": False,
    "fidelity": True,
    "contradiction": False,
    "ended": True,
    "mauve": True,
    "c2st": False,
    "energy": False,
    "grammar_sentences": True,
    "grammar_texts": True,
    "tense_agreement": True,
}
CHANCE: Mapping[str, float] = {"c2st": 0.5, "energy": 0.0, "tense_agreement": 0.5}
# Scores of all texts together, without one value per prompt.
OF_ALL_TEXTS = ("mauve[", "energy[")
FIDELITY = "generation.fidelity"
FIDELITY_NOTE = (
    "The prompt's facts kept (fidelity) tell when a flow learns to attend to its prompt, late and "
    "all at once. At a given number of steps, one arm may be before that jump and the other after "
    "it. Do not read it as a property of the space alone."
)
FLOORS_NOTE = (
    "Raw losses of two spaces are not comparable. Dashed: the loss of an ideal flow that knew only "
    "how the latents spread (Gaussian floor), which a trained one goes below. Dotted: of one that "
    "knew all but the encoder's noise; none gets lower. The right panel is the place between the "
    "two, 0 = all is learnt."
)
NATS_NOTE = (
    "Few nats alone are no merit: text that repeats itself or says only what is likely also has "
    "few. Read them with the variety of words (unigram entropy) and the 4-word runs said again "
    "(repetition)."
)


def direction(score: str) -> bool | None:
    """Whether more of a generation score (`valid_4gram`, `mauve[minilm]`) is better, if either."""
    return HIGHER_IS_BETTER.get(score.partition("[")[0])


def chance_of(score: str) -> float | None:
    """The score of chance, if it is a fixed number.

    That of human text where the score tells texts from human ones, that of a writer who does not
    read its prompt where it looks for what the prompt says.
    """
    return CHANCE.get(score.partition("[")[0])
