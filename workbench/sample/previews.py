"""Samples shown while the flow trains: a few validation prompts continued at each checkpoint."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from models.configs.flow import GuidanceConfig
from workbench.machine.context import StageContext
from workbench.machine.stopping import StopSignal
from workbench.sample.continuations import continue_prompts
from workbench.sample.generator import Generator
from workbench.sample.prompts import Prompts
from workbench.train.saving import Hooks
from workbench.train.texts import middle_cuts
from workbench.train.vae import load_vae

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.text_vae import TextVAE
    from workbench.study.folders import Run

NUM_SAMPLES = 3
SAMPLE_STEPS = 16
SHOWN_CHARACTERS = 60


class SampleWriter(Hooks):
    """Continues the first validation texts without guidance, from the same noise each time.

    Args:
        run: the run whose flow trains.
        context: its loggers and reporter receive the samples.
    """

    def __init__(self, run: Run, context: StageContext) -> None:
        corpus = run.study.corpus
        self._run, self._corpus, self._context = run, corpus, context
        self._prompts = first_validation_prompts(corpus, NUM_SAMPLES)

    @cached_property
    def _vae(self) -> TextVAE:
        return load_vae(self._run, self._context.place)

    def after_save(self, weights: nn.Module, step: int) -> None:
        """Sample with a checkpoint's weights; log all samples and show the first."""
        if len(self._prompts) == 0:
            return
        config, context = self._run.config, self._context
        place = context.place.alone()
        written = continue_prompts(
            Generator.of(config, self._vae, weights, place),  # type: ignore[arg-type]
            self._corpus,
            self._prompts,
            StageContext(place, stop=StopSignal()),
            sampler=replace(
                config.sampling.sampler,
                num_steps=min(SAMPLE_STEPS, config.sampling.sampler.num_steps),
            ),
            guidance=GuidanceConfig(),
            seed=config.seed,
        )
        pairs = zip(self._prompts.texts, written.texts, strict=True)
        lines = [f"...{prompt[-SHOWN_CHARACTERS:]} | {text}" for prompt, text in pairs]
        for logger in context.loggers:
            for number, line in enumerate(lines, start=1):
                logger.text("flow", step, f"sample {number}", line)
        context.reporter.note(f"flow step {step}: {lines[0][: 2 * SHOWN_CHARACTERS]}")


def first_validation_prompts(corpus: Corpus, count: int) -> Prompts:
    """The first validation texts with two tokens or more, cut in the middle."""
    split = corpus.split("valid")
    rows = np.flatnonzero(np.asarray(split.lengths) >= 2)[:count]
    cuts = middle_cuts(split.lengths[rows])
    token_ids, _ = split.padded(rows)
    inside = np.arange(corpus.window) < cuts[:, None]
    token_ids = np.where(inside, token_ids, corpus.tokenizer.eot_id)
    texts = [corpus.tokenizer.decode(ids[:cut]) for ids, cut in zip(token_ids, cuts, strict=True)]
    return Prompts(token_ids, cuts, rows, texts)
