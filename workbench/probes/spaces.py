"""Held-out items in every space of a study: each arm's latents and the teacher's states.

An item has the same row in every space, so neighbours, maps and selections by row can be compared
between spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.config.run import needs_teacher
from workbench.errors import InputError

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run, Study

LEVELS = ("tokens", "texts")
TEACHER = "teacher"
CUT_SIDE = "side of the cut"


@dataclass(frozen=True)
class Space:
    """Held-out items in one latent space; each item has the same row in every arm.

    Attributes:
        tokens: (N, D) float32, posterior samples of single tokens, normalised; (0, D) for an arm
            that has one latent per text.
        token_ids: (N,) int64.
        token_texts: (N,) int64, row of `texts` that a token belongs to.
        token_positions: (N,) int64.
        token_is_target: (N,) bool.
        token_labels: label set -> (N,) int64, -1 = missing.
        texts: (T, D) float32, mean over a text's tokens.
        text_rows: (T,) int64, rows of the test split.
        text_labels: label set -> (T,) int64, -1 = missing.
        text_classes: label set -> its class names.
    """

    tokens: np.ndarray
    token_ids: np.ndarray
    token_texts: np.ndarray
    token_positions: np.ndarray
    token_is_target: np.ndarray
    token_labels: Mapping[str, np.ndarray]
    texts: np.ndarray
    text_rows: np.ndarray
    text_labels: Mapping[str, np.ndarray]
    text_classes: Mapping[str, tuple[str, ...]]


def read_space(run: Run, place: Placement) -> Space:
    """A run's latent space as its probes see it, from stored latents; no model is loaded."""
    from workbench.probes.inputs.run_inputs import RunInputs

    inputs = RunInputs(run, place)
    texts, positions = inputs.token_places
    z = inputs.normalised_z
    return Space(
        tokens=z[texts, positions] if inputs.per_token else np.zeros((0, z.shape[2]), np.float32),
        token_ids=inputs.padded_ids[texts, positions],
        token_texts=texts,
        token_positions=positions,
        token_is_target=inputs.is_target[texts, positions],
        token_labels=inputs.token_labels,
        texts=inputs.text_features,
        text_rows=inputs.rows,
        text_labels=inputs.text_labels,
        text_classes=inputs.text_classes,
    )


@dataclass(frozen=True)
class TeacherSpace:
    """The teacher's states of the items of a `Space`: (N, W) tokens and (T, W) texts, float32."""

    tokens: np.ndarray
    texts: np.ndarray
    name: str


def taught_run(study: Study) -> Run | None:
    """The first run whose teacher read the arm's own texts and whose states are stored."""
    for run in study.runs:
        manifest = study.teacher_dir(run.config) / "manifest.json"
        if needs_teacher(run.config) and not run.config.teacher.permuted and manifest.is_file():
            return run
    return None


def read_teacher_space(run: Run) -> TeacherSpace:
    """A run's teacher's states of the held-out items."""
    from workbench.train.teacher_states import read_states

    corpus = run.study.corpus
    split, evaluation = corpus.split("test"), run.study.config.base.evaluation
    rows = np.arange(min(evaluation.probe_texts, len(split)))
    lengths = np.asarray(split.lengths[rows], np.int64)
    count = max(1, int(np.searchsorted(np.cumsum(lengths), evaluation.probe_tokens, "right")))
    states = read_states(run.study, run.config, "test")
    block, valid = (part.numpy() for part in states.gather(rows, corpus.window))
    weights = valid[..., None].astype(np.float32)
    inside = np.arange(corpus.window) < lengths[:count, None]
    return TeacherSpace(
        tokens=block[:count][inside],
        texts=(block * weights).sum(1) / np.maximum(weights.sum(1), 1),
        name=run.config.teacher.name,
    )


@dataclass(frozen=True)
class Items:
    """The items of one level in several spaces, row by row.

    Attributes:
        spaces: arm or teacher -> (N, F) float32.
        hover: N texts shown on hover.
        names: N short names: the token or the text.
        labels: label set -> (codes (N,), class names).
        texts: N whole texts.
        ids: (N,) token id, or the text's row.
    """

    spaces: Mapping[str, np.ndarray]
    hover: list[str]
    names: list[str]
    labels: Mapping[str, tuple[np.ndarray, tuple[str, ...]]]
    texts: list[str]
    ids: np.ndarray

    @property
    def kind(self) -> str:
        """The first label set that says what an item is, not where it stands; "" if none does."""
        return next((name for name in self.labels if name != CUT_SIDE), "")


def held_out_items(
    spaces: Mapping[str, Space], teacher: TeacherSpace | None, corpus: Corpus, level: str
) -> Items:
    """Tokens or texts in the spaces of some arms, and in the teacher's if there is one.

    Raises:
        InputError: `level` is neither `tokens` nor `texts`, or an arm has no tokens.
    """
    if level not in LEVELS:
        raise InputError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    first = next(iter(spaces.values()))
    bare = [arm for arm, space in spaces.items() if len(space.tokens) < len(space.token_ids)]
    if level == "tokens" and bare:
        raise InputError(f"arm {bare[0]} has one latent per text: look at texts instead")
    rows = {arm: getattr(space, level) for arm, space in spaces.items()}
    if teacher is not None:
        rows[TEACHER] = getattr(teacher, level)
    whole = corpus.split("test").texts(first.text_rows)
    if level == "texts":
        names, ids, texts = whole, first.text_rows, whole
        hover = [text[:160] for text in whole]
        # An arm from a bundle may know labels that the others do not: they colour every space.
        labels = {
            name: (codes, space.text_classes[name])
            for space in reversed(list(spaces.values()))
            for name, codes in space.text_labels.items()
        }
    else:
        ids = first.token_ids
        names = corpus.tokenizer.decode_tokens(ids)
        texts = [whole[row] for row in first.token_texts]
        hover = [
            f"{name} (word {place + 1} of: {text[:90]}{'…' if len(text) > 90 else ''})"
            for name, place, text in zip(names, first.token_positions, texts, strict=True)
        ]
        labels = {n: (c, corpus.token_label_names[n]) for n, c in first.token_labels.items()}
        side = first.token_is_target.astype(np.int64)
        labels[CUT_SIDE] = (side, ("context", "target"))
    return Items(rows, hover, names, labels, texts, ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """Rows of the nearest items, nearest first, with their cosine distances."""

    rows: list[int]
    distances: list[float]


def nearest_items(
    items: Items, space: str, query: np.ndarray, count: int, *, own: int | None, other_words: bool
) -> Company:
    """The exact `count` nearest items to one point of a space.

    Args:
        items: the items of one level.
        space: arm or teacher.
        query: (F,) the point.
        count: number of neighbours.
        own: the item's own row, which is left out; None for a typed sentence.
        other_words: leave out items with the same id as `own`.
    """
    from analyses.numerics.neighbors import NeighborConfig, nearest_in

    rows = items.spaces[space]
    kept = np.ones(len(rows), bool)
    if own is not None:
        kept[own] = False
        if other_words:
            kept &= items.ids != items.ids[own]
    candidates = np.flatnonzero(kept)
    found = nearest_in(query[None], rows[candidates], NeighborConfig(k=count))
    return Company(
        rows=candidates[found.indices[0]].tolist(), distances=found.distances[0].tolist()
    )
