"""Nearest neighbours of one item in each space, and how far the spaces agree about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.config import needs_teacher
from workbench.ui.engine import context, corpus_of, generator_of
from workbench.ui.escaped import html_text
from workbench.ui.mapping import TEACHER, Items
from workbench.ui.scan import stamp

if TYPE_CHECKING:
    from workbench.runs import Run, Study
    from workbench.ui.sidebar import Selection


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """Rows of the nearest items, nearest first, with their cosine distances."""

    rows: list[int]
    distances: list[float]


def nearest_items(
    items: Items, space: str, query: np.ndarray, count: int, *, own: int | None, other_words: bool
) -> Company:
    """The `count` nearest items to one point of a space, exactly.

    Args:
        items: of a level.
        space: arm or teacher.
        query: (F,) the point.
        count: neighbours.
        own: the row asked about, which is left out; None for a typed sentence.
        other_words: leave out items with the id of `own`.
    """
    from analyses.neighbors import NeighborConfig, nearest_in

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


def agreement(found: Mapping[str, Company]) -> Counter[int]:
    """Row -> number of spaces that have it among the neighbours."""
    return Counter(row for company in found.values() for row in company.rows)


def company_list(items: Items, company: Company, marks: Counter[int], *, show_text: bool) -> str:
    """Neighbours as an HTML list: agreement marks, the item, its distance, its text if wanted."""
    lines = []
    for row, distance in zip(company.rows, company.distances, strict=True):
        others = marks[row] - 1
        text = (
            f'<br><span style="opacity:.6;font-size:.85em">{html_text(items.texts[row])}</span>'
            if show_text
            else ""
        )
        lines.append(
            f'<li style="margin:.3rem 0"><span title="in {others} other spaces too">'
            f"{'●' * others or '○'}</span> {html_text(items.names[row])} "
            f'<span style="opacity:.6">{distance:.2f}</span>{text}</li>'
        )
    return f'<ol style="padding-left:1.2rem;line-height:1.4">{"".join(lines)}</ol>'


def typed_item(selection: Selection, text: str) -> dict[str, np.ndarray]:
    """A typed sentence as a point of each space: the mean over its tokens.

    Raises:
        InputError: it has no token, or more than the window.
    """
    points = {arm: typed_latents(run, text)[0].mean(axis=0) for arm, run in selection.runs.items()}
    teacher = _typed_teacher(selection.study, text)
    return points if teacher is None else {**points, TEACHER: teacher}


def typed_latents(run: Run, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalised posterior means (n, D) of a sentence's n tokens, and their ids (n,)."""
    import torch

    from workbench.prompts import encode_context, typed_prompts

    generator, corpus = generator_of(run), corpus_of(run.study)
    prompts = typed_prompts(corpus, [text])
    batch = prompts.batch(slice(0, 1)).to(generator.place.device)
    with torch.inference_mode():
        ctx = encode_context(generator.vae, batch, joint=generator.joint)
    length = int(prompts.cuts[0])
    return ctx[0, :length].cpu().numpy(), prompts.token_ids[0, :length]


def _typed_teacher(study: Study, text: str) -> np.ndarray | None:
    """The same sentence as the teacher sees it; None without a teacher."""
    run = next(
        (r for r in study.runs if needs_teacher(r.config) and not r.config.teacher.permuted), None
    )
    if run is None or run.config.teacher.name == "own":
        return None
    import torch

    folder = study.teacher_dir(run.config)
    teacher, standardiser = _teacher(
        str(folder), stamp(folder / "manifest.json"), run.config.teacher
    )
    encoding = corpus_of(study).tokenizer.encode_batch([text])[0]
    layer = run.config.teacher.layer
    found = teacher.token_states([text], [encoding.offsets], [layer])
    with torch.inference_mode():
        states = standardiser.apply(found.states[layer][None], found.valid[None])[0]
    valid = found.valid.numpy()
    return states.numpy()[valid].mean(axis=0) if valid.any() else None


@st.cache_resource(max_entries=2, show_spinner="Loading the teacher …")
def _teacher(folder: str, stamp: tuple[int, int], config: Any) -> Any:
    from dataclasses import replace

    from models.teachers import Standardiser, load_teacher

    stored = Standardiser.load(Path(folder) / "standardiser.safetensors")
    teacher = load_teacher(config, context().place.device, None)
    return teacher, replace(stored, mode=config.standardise)
