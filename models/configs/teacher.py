"""Which teacher, which of its layers, and how its states are standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.configs.checks import check_choice

Standardisation = Literal["dimension", "sequence", "none"]
# The architectures of the two embedded models, untrained.
UNTRAINED = {"random": "minilm", "random-smollm2": "smollm2"}
LAYERS = {"minilm": 6, "smollm2": 30}  # of the embedded models, known before they are read
TEACHER_NAMES = ("minilm", "smollm2", *UNTRAINED, "own")
HF_PREFIX = "hf:"


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig:
    """The frozen language model that REPA aligns the text VAE with.

    Args:
        name: `minilm` (embedded), `smollm2` (a causal model, see `make smollm2`), `random` and
            `random-smollm2` (their architectures, untrained), `own` (a `CausalLM` trained on the
            corpus) or `hf:<model id or directory>`.
        layer: Index into the hidden states as transformers counts them (0 = embedding output,
            n = last layer) or from the end (-1 = last layer).
        standardise: `dimension` (mean and std of every dimension over the corpus), `sequence`
            (the same within each text, as iREPA does) or `none`.
        permuted: Use the states of other texts: equal statistics, no meaning (a control).
        seed: Of the weights of an untrained teacher and of the permutation of `permuted`.
    """

    name: str = "minilm"
    layer: int = -3
    standardise: Standardisation = "dimension"
    permuted: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_teacher_name(self.name)
        check_choice("standardise", self.standardise, Standardisation)
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")


def is_untrained(name: str) -> bool:
    """Whether a teacher's weights are drawn from its seed."""
    return name in UNTRAINED


def check_teacher_name(name: str) -> None:
    """Raise a `ValueError` that lists the choices unless `name` is a teacher's name."""
    if name in TEACHER_NAMES or (name.startswith(HF_PREFIX) and name != HF_PREFIX):
        return
    choices = ", ".join((*TEACHER_NAMES, "hf:<model id or directory>"))
    raise ValueError(f"teacher must be one of {choices}, got {name!r}")


def resolve_layer(layer: int, num_layers: int) -> int:
    """Index of a hidden state counted from the start: -1 becomes `num_layers`.

    Raises:
        ValueError: `layer` is outside [-(num_layers + 1), num_layers].
    """
    if not -(num_layers + 1) <= layer <= num_layers:
        raise ValueError(
            f"teacher layer must be between {-(num_layers + 1)} and {num_layers} "
            f"(0 = embeddings, {num_layers} or -1 = last layer), got {layer}"
        )
    return layer % (num_layers + 1)


def check_space_layers(count: int, num_layers: int) -> None:
    """Refuse to average more hidden states than a model of `num_layers` layers has.

    Raises:
        ValueError: with the most that it has.
    """
    if count > num_layers + 1:
        raise ValueError(
            f"vae.space_layers must be <= {num_layers + 1}, the hidden states of this teacher, "
            f"got {count}"
        )
