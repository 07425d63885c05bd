"""The sentence gradient: two typed sentences, and what each arm reads on the way between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.study.folders import Run, open_study
from workbench.ui.kit.cached import corpus_of, opened, references_of, weights_stamp
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import html_text
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.theme import colours
from workbench.ui.sections.shared.typed_sentence import latents_of

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

NUM_STOPS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradient:
    """Stops on the way: share of the second sentence, the text read there, share of its words that
    are in neither sentence."""

    shares: list[float]
    texts: list[str]
    strange: list[float]


def show_gradient(selection: Selection) -> None:
    """Two sentences in, the way between them out, for each arm."""
    import pandas as pd

    st.subheader("Sentence gradient")
    prompts = references_of(selection.study).prompts
    left, right = st.columns(2)
    first = left.text_input("From", prompts[0], key="from", bind="query-params", max_chars=400)
    second = right.text_input("To", prompts[-1], key="to", bind="query-params", max_chars=400)
    palette = colours(selection.all_arms)
    rows = []
    for column, (arm, run) in zip(
        st.columns(len(selection.arms)), selection.runs.items(), strict=True
    ):
        with column, guarded(f"Arm {arm}"):
            way = gradient(run, first, second)
            stops = "".join(
                f'<li style="margin:.35rem 0;list-style:none"><span style="opacity:.6;'
                f'font-variant-numeric:tabular-nums">{share:.0%}</span> {html_text(text)}</li>'
                for share, text in zip(way.shares, way.texts, strict=True)
            )
            st.html(
                f'<b style="border-bottom:3px solid {palette[arm]}">{html_text(arm)}</b>'
                f'<ul style="padding-left:0;line-height:1.4">{stops}</ul>'
            )
            rows.append(
                {"arm": arm} | {f"{s:.0%}": v for s, v in zip(way.shares, way.strange, strict=True)}
            )
    if rows:
        show_table(
            pd.DataFrame(rows).round(2), "gradient",
            caption="Position by position along the sphere. The table: share of words that stand "
            "in neither sentence. A space with text between its texts invents sensible ones; one "
            "with holes stutters or jumps.",
        )  # fmt: skip


def gradient(run: Run, first: str, second: str) -> Gradient:
    """The way between two sentences in one arm, computed once."""
    return _gradient(str(run.study.directory), run.arm, run.seed, weights_stamp(run), first, second)


@st.cache_data(max_entries=64, show_spinner="Walking from one to the other …", show_time=True)
def _gradient(
    directory: str, arm: str, seed: int, weights: str, first: str, second: str
) -> Gradient:
    import torch

    from analyses.spaces.manifold_continuity import slerp
    from workbench.sample.generator import read_latents

    run = open_study(Path(directory)).run(arm, seed)
    generator, corpus = opened(run.study).trained_pair(run), corpus_of(run.study)
    ends = [_padded(run, text) for text in (first, second)]
    shares = np.linspace(0.0, 1.0, NUM_STOPS)
    mixed = np.stack([slerp(ends[0], ends[1], float(share)) for share in shares])
    z = torch.from_numpy(mixed.astype(np.float32)).to(generator.place.device)
    token_ids = read_latents(generator, z)[0].cpu().numpy()
    known = {int(i) for text in (first, second) for i in latents_of(run, text)[1]}
    texts = [corpus.tokenizer.decode(ids) for ids in token_ids]
    strange = []
    for ids in token_ids:
        ends_at = np.flatnonzero(ids == corpus.tokenizer.eot_id)
        own = ids[: ends_at[0]] if len(ends_at) else ids
        strange.append(float(np.mean([int(i) not in known for i in own])) if len(own) else 0.0)
    return Gradient(shares=shares.tolist(), texts=texts, strange=strange)


def _padded(run: Run, text: str) -> np.ndarray:
    """Normalised means (L, D) of a sentence and the end-of-text after it, encoded together."""
    import torch

    from workbench.sample.prompts import typed_prompts

    generator, corpus = opened(run.study).trained_pair(run), corpus_of(run.study)
    prompts = typed_prompts(corpus, [text])
    ids = torch.from_numpy(prompts.token_ids).to(generator.place.device)
    with torch.inference_mode():
        posterior = generator.vae.encode(ids)
        return generator.vae.normalise(posterior.mu.float())[0].cpu().numpy()
