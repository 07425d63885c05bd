"""From a prompt and settings to the player's lanes: tracks, readings, distances, curves, cached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.playback import Fork, Track, trace_track
from workbench.runs import Run, Study, open_study
from workbench.ui.engine import (
    context,
    corpus_of,
    generator_of,
    references_of,
    space_of,
    weights_stamp,
)
from workbench.ui.player.build import Lane

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.samplers import SamplerConfig, SamplerName
    from workbench.prompts import Prompts
    from workbench.scoring import Judge

FAR_QUANTILE = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaybackView:
    """Everything that determines one playback; part of cache keys.

    Attributes:
        row: held-out prompt, or -1 for `typed`.
        typed: a prompt of the reader's own.
        sampler: solver.
        num_steps: intervals.
        guidance_scale: 1 is off.
        seed: of the starting noise.
    """

    row: int
    typed: str
    sampler: SamplerName
    num_steps: int
    guidance_scale: float
    seed: int


@dataclass(frozen=True)
class Following:
    """One track with what is read off it; see `Lane`."""

    track: Track
    tokens: list[list[str]]
    is_text: np.ndarray
    commit: np.ndarray
    far: np.ndarray
    far_limit: float
    curves: dict[str, np.ndarray]
    text: str


def prompt_of(study: Study, view: PlaybackView) -> Prompts:
    """The view's prompt; held-out ones keep their identity, so arms share their noise."""
    from workbench.prompts import held_out_prompts, typed_prompts

    corpus = corpus_of(study)
    if view.row < 0:
        return typed_prompts(corpus, [view.typed])
    references, row = references_of(study), slice(view.row, view.row + 1)
    joint = study.config.base.context.joint
    return held_out_prompts(
        corpus, references.indices[row], references.cuts[row], references.prompts[row], joint=joint
    )


def follow(run: Run, view: PlaybackView, fork: Fork | None = None) -> Following:
    """Trace one arm and read its moments; computed once for all sessions."""
    return _follow(str(run.study.directory), run.arm, run.seed, weights_stamp(run), view, fork)


@st.cache_resource(max_entries=48, show_spinner="Denoising, step by step …")
def _follow(
    directory: str, arm: str, seed: int, weights: str, view: PlaybackView, fork: Fork | None
) -> Following:
    run = open_study(Path(directory)).run(arm, seed)
    corpus = corpus_of(run.study)
    guidance = run.config.sampling.guidance(view.guidance_scale)
    prompt = prompt_of(run.study, view)
    track = trace_track(generator_of(run), prompt, sampler_of(run, view), guidance, view.seed, fork)
    ids = track.token_ids[:, track.cut :]
    is_text = np.cumsum(ids == corpus.tokenizer.eot_id, axis=1) == 0
    far, limit = _distances(run, track)
    texts = [corpus.tokenizer.decode(line) for line in ids]
    return Following(
        track=track,
        tokens=[corpus.tokenizer.decode_tokens(line) for line in ids],
        is_text=is_text,
        commit=commit_steps(ids),
        far=far,
        far_limit=limit,
        curves=_curves(run, corpus, view, track, is_text, far, texts),
        text=texts[-1],
    )


def sampler_of(run: Run, view: PlaybackView) -> SamplerConfig:
    """The run's solver with the view's choices."""
    from dataclasses import replace

    return replace(run.config.sampling.sampler, name=view.sampler, num_steps=view.num_steps)


def commit_steps(ids: np.ndarray) -> np.ndarray:
    """(T,) first moment of ids (S + 1, T) from which each token never changes again."""
    differs = ids != ids[-1]
    last = len(ids) - 1 - np.argmax(differs[::-1], axis=0)
    return np.where(differs.any(axis=0), last + 1, 0)


def _distances(run: Run, track: Track) -> tuple[np.ndarray, float]:
    """Distance of each target latent to the nearest real one, and what is unusual for real ones."""
    from analyses.neighbors import NeighborConfig, nearest_in, nearest_neighbors

    search = NeighborConfig(k=1, metric="euclidean")
    real = space_of(run).tokens
    own = nearest_neighbors(real, search).distances[:, 0]
    unit = float(np.median(own)) or 1.0
    target = track.z_t[:, track.cut :]
    away = nearest_in(target.reshape(-1, target.shape[-1]), real, search).distances[:, 0]
    return away.reshape(target.shape[:2]) / unit, float(np.quantile(own, FAR_QUANTILE)) / unit


def _curves(
    run: Run,
    corpus: Corpus,
    view: PlaybackView,
    track: Track,
    is_text: np.ndarray,
    far: np.ndarray,
    texts: list[str],
) -> dict[str, np.ndarray]:
    """Curves over the moments; means are over the tokens of the text read at each."""
    ids = track.token_ids[:, track.cut :]
    counts = np.maximum(is_text.sum(axis=1), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return (values * is_text).sum(axis=1) / counts

    curves = {
        "entropy (nats)": mean(track.entropy[:, track.cut :]),
        "margin (probability)": mean(track.margin[:, track.cut :]),
        "tokens as in the end": (ids == ids[-1]).mean(axis=1),
        "distance from real latents (× usual)": mean(far),
        "fluency: nats a token": _nats(run, corpus, track, texts),
    }
    kept = _fidelity(run, corpus, view, texts)
    return {**curves, "fidelity: share of facts": kept} if np.isfinite(kept).any() else curves


def _nats(run: Run, corpus: Corpus, track: Track, texts: list[str]) -> np.ndarray:
    """Nats a token that the judging language model gives each moment's text, with its prompt."""
    import torch

    model = judge_of(run.study).language_model
    ids = track.token_ids.copy()
    ended = np.cumsum(ids[:, track.cut :] == corpus.tokenizer.eot_id, axis=1) > 0
    ids[:, track.cut :][ended] = corpus.tokenizer.eot_id
    lengths = track.cut + (~ended).sum(axis=1)
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    cuts = np.full(len(ids), track.cut, np.int64)
    with torch.inference_mode():
        values = model.nats_per_token(*(torch.from_numpy(part) for part in (ids, mask, cuts)))
    return values.cpu().numpy()


def _fidelity(run: Run, corpus: Corpus, view: PlaybackView, texts: list[str]) -> np.ndarray:
    """Share of the prompt's facts that each moment's text keeps; NaN where there are none."""
    from analyses.fidelity import fidelity

    unknown = np.full(len(texts), np.nan)
    if view.row < 0:
        return unknown
    references, n = references_of(run.study), len(texts)
    facts = references.facts[view.row]
    if not facts:
        return unknown
    scored = fidelity(
        texts,
        [references.prompts[view.row]] * n,
        [references.continuations[view.row]] * n,
        [facts] * n,
        corpus.fact_values,
    )
    return scored.values["fidelity"]


def judge_of(study: Study) -> Judge:
    """The study's judge: its language model scores every generator."""
    return _judge(str(study.directory), _judge_stamp(study))


def _judge_stamp(study: Study) -> str:
    from workbench.ui.scan import stamp

    files = sorted(study.language_model_dir.glob("*/manifest.json"))
    return repr([stamp(file) for file in files])


@st.cache_resource(max_entries=4, show_spinner=False)
def _judge(directory: str, stamp: str) -> Judge:
    from workbench.scoring import Judge

    study = open_study(Path(directory))
    return Judge(study, corpus_of(study), context().place)


def lanes_of(
    followed: dict[str, tuple[Run, Following, str]], bases: dict[str, Following], palette: Any
) -> list[Lane]:
    """Lanes for the player.

    Args:
        followed: title -> (run, what was followed, subtitle).
        bases: arm -> the unforked run, whose axes the arm's forks share.
        palette: arm -> colour.
    """
    from analyses.linear_basis import fit_linear_basis

    lanes = []
    axes = {}
    for title, (run, found, subtitle) in followed.items():
        real = space_of(run)
        cloud = real.tokens[real.token_is_target]
        if run.arm not in axes:
            path = bases[run.arm].track
            width = path.z_t.shape[-1]
            axes[run.arm] = fit_linear_basis(
                [cloud, path.z_t[:, path.cut :].reshape(-1, width)], num_components=2
            )
        lanes.append(
            Lane(
                title=title,
                subtitle=subtitle,
                colour=palette[run.arm],
                track=found.track,
                tokens=found.tokens,
                is_text=found.is_text,
                commit=found.commit,
                far=found.far,
                basis=axes[run.arm],
                cloud=cloud,
                curves=found.curves,
            )
        )
    return lanes
