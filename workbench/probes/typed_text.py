"""A typed sentence as a point in a space, of an arm or of the teacher."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.machine.devices import Placement
    from workbench.sample.generator import Generator
    from workbench.study.folders import Run


def typed_latents(generator: Generator, corpus: Corpus, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalised posterior means (n, D) of a sentence's n tokens, and their ids (n,).

    Raises:
        InputError: it has no token, or more tokens than the window.
    """
    import torch

    from workbench.sample.prompts import encode_context, typed_prompts

    prompts = typed_prompts(corpus, [text])
    batch = prompts.batch(slice(0, 1)).to(generator.place.device)
    with torch.inference_mode():
        ctx = encode_context(generator.vae, batch, joint=generator.joint)
    length = int(prompts.cuts[0])
    return ctx[0, :length].cpu().numpy(), prompts.token_ids[0, :length]


def moved_to_whole_texts(
    point: np.ndarray, count: int, tokens: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """A short sentence's mean, with the share of its early positions replaced by a whole text's.

    Latents hold where a token stands. The mean over a few first tokens lies near other short
    texts for that alone; moved like this, what is left to compare is the words.

    Args:
        point: (D,) mean over the sentence's tokens.
        count: its tokens.
        tokens: (N, D) tokens of whole texts in the same space.
        positions: (N,) where each stands in its text.
    """
    early = tokens[positions < count]
    _, place, sizes = np.unique(
        positions[positions < count], return_inverse=True, return_counts=True
    )
    if not len(early):
        return point
    weights = (1 / sizes)[place] / len(sizes)  # every position counts alike
    return point - weights @ early + tokens.mean(axis=0)


def unknown_words(corpus: Corpus, text: str) -> list[str]:
    """Words of a text that the vocabulary cannot spell, each once: a model reads them alike."""
    encoding = corpus.tokenizer.encode_batch([text])[0]
    spans = encoding.offsets[encoding.token_ids == corpus.tokenizer.unk_id]
    words = [
        match.group()
        for match in re.finditer(r"\S+", text)
        if any(start < match.end() and end > match.start() for start, end in spans)
    ]
    return list(dict.fromkeys(word.strip(string.punctuation) or word for word in words))


@dataclass(frozen=True)
class TypedTeacher:
    """A teacher that can read any text, standardised like its stored states; see `load`."""

    teacher: Any
    standardiser: Any
    layer: int

    @classmethod
    def load(cls, run: Run, place: Placement) -> TypedTeacher | None:
        """The run's teacher; None for `own` (the study's language model), not loaded here."""
        from dataclasses import replace

        from models.teachers import Standardiser, load_teacher

        config = run.config.teacher
        if config.name == "own":
            return None
        folder = run.study.teacher_dir(run.config)
        stored = Standardiser.load(folder / "standardiser.safetensors")
        return cls(
            teacher=load_teacher(config, place.device, None),
            standardiser=replace(stored, mode=config.standardise),
            layer=config.layer,
        )

    def point(self, corpus: Corpus, text: str) -> np.ndarray | None:
        """(W,) mean state over the sentence's tokens; None if none of them has a state."""
        import torch

        encoding = corpus.tokenizer.encode_batch([text])[0]
        found = self.teacher.token_states([text], [encoding.offsets], [self.layer])
        with torch.inference_mode():
            states = self.standardiser.apply(found.states[self.layer][None], found.valid[None])[0]
        valid = found.valid.numpy()
        return states.numpy()[valid].mean(axis=0) if valid.any() else None
