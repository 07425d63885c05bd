"""The target never reaches the context: neither cached latents nor samples see its tokens.

`context.joint` encodes both together and is there to show what a leak does, so every test turns
it on once to see that it would notice.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.corpus_store import Corpus, Split
from workbench.machine.context import StageContext
from workbench.machine.devices import autocast
from workbench.sample.continuations import continue_prompts
from workbench.sample.generator import load_generator, sample_steps, starting_noise
from workbench.sample.prompts import encode_context, held_out_prompts
from workbench.sample.references import open_references
from workbench.study.folders import Run, Study
from workbench.train.latents import encode_latents, open_latents
from workbench.train.texts import fixed_cuts, middle_cuts
from workbench.train.vae import load_vae


class Rewritten:
    """A split whose tokens after each text's first `cuts` are other ones."""

    def __init__(self, split: Split, cuts: np.ndarray, vocab_size: int) -> None:
        self._split, self._cuts, self._vocab_size = split, cuts, vocab_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def __len__(self) -> int:
        return len(self._split)

    def padded(self, indices: np.ndarray, length: int | None = None) -> Any:
        token_ids, mask = self._split.padded(indices, length)
        after = np.arange(token_ids.shape[1]) >= self._cuts[indices][:, None]
        other = (token_ids + 7) % self._vocab_size
        return np.where(after & mask, other, token_ids), mask


class RewrittenCorpus:
    """A corpus whose targets are rewritten, cut as the latents stage cuts them."""

    def __init__(self, corpus: Corpus, run: Run) -> None:
        self._corpus, self._run = corpus, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._corpus, name)

    def split(self, name: str) -> Any:
        split = self._corpus.split(name)
        cuts = middle_cuts(split.lengths)
        if name == "train":
            cuts = fixed_cuts(split.lengths, self._run.config.context, 0, self._run.config.seed)
        return Rewritten(split, cuts, self._corpus.vocab_size)


def with_context(study: Study, **changes: Any) -> Run:
    """A run whose cached config cuts once a text and has these context settings."""
    run = study.run("none", 0)
    context = dataclasses.replace(run.config.context, cuts_per_text=1, **changes)
    run.__dict__["config"] = dataclasses.replace(run.config, context=context)
    return run


def encode(run: Run, vae: Any, corpus: Any, context: StageContext) -> dict[str, Any]:
    run.study.__dict__["corpus"] = corpus
    encode_latents(run, vae, context)
    return {name: open_latents(run.latents_dir, name) for name in ("train", "valid", "test")}


@pytest.mark.parametrize("joint", [False, True])
def test_cached_context_latents(
    joint: bool, copy_smoke: Any, smoke: Study, corpus: Corpus, context: StageContext
) -> None:
    vae = load_vae(smoke.run("none", 0), context.place)
    stored = []
    for name, changed in (("plain", False), ("rewritten", True)):
        study = copy_smoke(without=("arms", "teacher"), name=name)
        run = with_context(study, joint=joint)
        source = RewrittenCorpus(corpus, run) if changed else corpus
        stored.append(encode(run, vae, source, context))
    for name in ("train", "valid", "test"):
        first, second = (latents[name] for latents in stored)
        assert np.array_equal(first.cuts, second.cuts)
        inside = np.arange(corpus.window) < first.cuts[:, :1]
        same = {
            kind: np.array_equal(
                getattr(first, kind)[:, 0][inside], getattr(second, kind)[:, 0][inside]
            )
            for kind in ("mu", "std")
        }
        assert same == {"mu": not joint, "std": not joint}
        outside = ~inside
        assert not np.array_equal(first.mu[:, 0][outside], second.mu[:, 0][outside])


@pytest.mark.parametrize("joint", [False, True])
def test_samples_of_held_out_prompts(
    joint: bool, smoke: Study, corpus: Corpus, context: StageContext, tmp_path: Path
) -> None:
    run = smoke.run("none", 0)
    generator = dataclasses.replace(load_generator(run, context.place), joint=joint)
    references = open_references(smoke.references_dir)
    latents, tokens = [], []
    for source in (corpus, RewrittenCorpus(corpus, run)):
        prompts = held_out_prompts(
            source,  # type: ignore[arg-type]
            references.indices,
            references.cuts,
            references.prompts,
            joint=joint,
        )
        batch, rows = prompts.batch(slice(0, 8)), slice(0, 8)
        noise = starting_noise(generator, prompts.part(rows), 0)
        options = (run.config.sampling.sampler, run.config.sampling.guidance(1.0))
        ctx = encode_context(generator.vae, batch, joint=joint)
        steps = list(sample_steps(generator, prompts.part(rows), noise, *options, 0))
        latents.append((torch.where(batch.ctx_mask[..., None], ctx, 0), steps[-1].z_t))
        written = continue_prompts(
            generator,
            corpus,
            prompts,
            context,
            sampler=options[0],
            guidance=options[1],
            seed=0,
        )
        tokens.append(written.token_ids)
    assert torch.equal(latents[0][0], latents[1][0]) == (not joint)
    assert torch.equal(latents[0][1], latents[1][1]) == (not joint)
    if not joint:
        assert all(np.array_equal(a, b) for a, b in zip(*tokens, strict=True))


def test_prompts_are_encoded_as_the_flow_was_trained(
    smoke: Study, corpus: Corpus, context: StageContext
) -> None:
    """The context's latents at sampling are the cached ones, but for their float16."""
    run, references = smoke.run("none", 0), open_references(smoke.references_dir)
    prompts = held_out_prompts(
        corpus, references.indices, references.cuts, references.prompts, joint=False
    )
    batch = prompts.batch(slice(None))
    stored = open_latents(run.latents_dir, "test")
    assert np.array_equal(stored.cuts[references.indices, 0], references.cuts)
    cached = torch.from_numpy(stored.mu[references.indices, 0]).float()
    vae = load_vae(run, context.place)
    for joint in (False, True):
        with autocast(context.place, "auto"):
            ctx = encode_context(vae, batch, joint=joint)
        same = torch.isclose(ctx, cached, rtol=0.02, atol=0.02)[batch.ctx_mask]
        assert bool(same.all()) == (not joint)
