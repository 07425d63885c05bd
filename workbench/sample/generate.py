"""Sampling: prompts in, continuations out, with the whole trajectory where it is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.configs.flow import GuidanceConfig, SamplerConfig
from models.guidance import ContextVelocity, Guided
from models.samplers import SAMPLERS, SamplerStep
from models.time_samplers import TimeSampler, time_grid
from workbench.machine.context import StageContext
from workbench.machine.devices import autocast
from workbench.machine.memory import halving_batches
from workbench.sample.prompts import Prompts, encode_context, typed_prompts
from workbench.train.flow import load_dit
from workbench.train.loop import step_generator
from workbench.train.vae import load_vae

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.configs.flow import FlowConfig
    from models.dit import TextDiT
    from models.text_vae import TextVAE
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run
    from workbench.train.texts import TextBatch

MOST_ALONE = 32  # typed prompts that are written one at a time


@dataclass(frozen=True, slots=True)
class Generator:
    """A run's trained pair: the VAE and the flow in its latent space."""

    vae: TextVAE
    dit: TextDiT
    flow: FlowConfig
    joint: bool
    place: Placement


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One moment of a trajectory, decoded.

    Attributes:
        t: time reached.
        z_t: (B, L, D) state, context positions at their clean latents.
        z_hat: (B, L, D) estimate of the clean latent.
        token_ids: (B, L) int64, the decoder's reading of `z_hat`.
        entropy: (B, L) nats of the decoder's distribution there.
        margin: (B, L) probability of its first minus its second choice.
        nfe: network evaluations so far.
    """

    t: float
    z_t: Tensor
    z_hat: Tensor
    token_ids: Tensor
    entropy: Tensor
    margin: Tensor
    nfe: int


@dataclass(frozen=True, slots=True)
class Continuations:
    """What was written after N prompts.

    Attributes:
        prompts: N texts.
        texts: N continuations.
        token_ids: N arrays of the continuations' tokens, without end-of-text.
        ended: (N,) bool, False where the window ended first.
        nfe: network evaluations a prompt.
        seconds: wall-clock seconds in all.
        trace: steps, when asked for.
    """

    prompts: list[str]
    texts: list[str]
    token_ids: list[np.ndarray]
    ended: np.ndarray
    nfe: int
    seconds: float
    trace: list[TraceStep]


def load_generator(run: Run, place: Placement) -> Generator:
    """Load a run's VAE and flow.

    Raises:
        InputError: one of them is not trained yet.
    """
    return Generator(
        load_vae(run, place),
        load_dit(run, place),
        run.config.flow,
        run.config.context.joint,
        place,
    )


def starting_noise(prompts: Prompts, rows: slice, shape: tuple[int, int], seed: int) -> Tensor:
    """(B, L, D) noise that depends on the seed and each prompt's identity alone."""
    device = torch.device("cpu")
    return torch.stack(
        [
            torch.randn(shape, generator=step_generator(device, seed, "sample", int(identity)))
            for identity in prompts.identities[rows]
        ]
    )


def renoising(device: torch.device, seed: int, identity: int | None = None) -> torch.Generator:
    """Source of the fresh noise of `SamplerConfig.churn`: a prompt's own, or one for a batch."""
    own = () if identity is None else (identity,)
    return step_generator(device, seed, "churn", *own)


class _Autocast:
    """A velocity field evaluated under autocast.

    Autocast must not span a generator's yields: it would leak into the consumer, and leaving
    inference mode there would end it for all steps but the first.
    """

    def __init__(self, velocity: Guided, place: Placement) -> None:
        self._velocity, self._place = velocity, place

    @property
    def nfe(self) -> int:
        """Network evaluations so far."""
        return self._velocity.nfe

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        """The velocity (B, L, D) at z_t (B, L, D) and t."""
        with autocast(self._place, "auto"):
            return self._velocity(z_t, t)


def sample_steps(
    generator: Generator,
    batch: TextBatch,
    noise: Tensor,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    identity: int | None = None,
) -> Iterator[SamplerStep]:
    """Integrate a batch from noise; yields every step of the solver.

    Args:
        generator: the trained pair.
        batch: prompts on the generator's device.
        noise: (B, L, D) starting noise.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: of the re-noising.
        identity: of a batch's only prompt, whose re-noising is then its own.
    """
    place = generator.place
    with autocast(place, "auto"):
        ctx = encode_context(generator.vae, batch, joint=generator.joint)
    velocity = ContextVelocity(generator.dit, ctx, batch.ctx_mask, generator.flow.prediction)
    yield from SAMPLERS[sampler.name](
        _Autocast(Guided(velocity, guidance), place),
        noise.to(place.device),
        time_grid(sampler.grid, sampler.num_steps, TimeSampler(generator.flow.time)),
        sampler.churn,
        renoising(place.device, seed, identity),
    )


@torch.inference_mode()
def read_latents(generator: Generator, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decode normalised latents (B, L, D): token ids, entropy in nats, top-2 probability margin."""
    with autocast(generator.place, "auto"):
        logits = generator.vae.decode_normalised(z)
    log_probs = logits.float().log_softmax(-1)
    probs = log_probs.exp()
    top = probs.topk(2, dim=-1).values
    entropy = -(probs * log_probs).sum(-1)
    return log_probs.argmax(-1), entropy, top[..., 0] - top[..., 1]


def continue_prompts(
    generator: Generator,
    corpus: Corpus,
    prompts: Prompts,
    context: StageContext,
    *,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    batch_size: int = 64,
    alone: bool = False,
    trace: bool = False,
    stage: str = "sampling",
) -> Continuations:
    """Continue every prompt.

    In a batch all prompts share one stream of re-noising, and bf16 rounds by the batch's shape.

    Args:
        generator: the trained pair.
        corpus: gives the tokeniser and the window.
        prompts: what to continue.
        context: who watches and who may stop it.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: of the starting noise and of the re-noising.
        batch_size: prompts at once; halved when memory runs out.
        alone: one prompt at a time with re-noising of its own, as playback does: its text then
            depends on no other prompt.
        trace: keep every step of every prompt.
        stage: name shown with the progress.
    """
    start = time.monotonic()
    width = generator.vae.config.latent_width
    tokens: list[Tensor] = []
    traces: list[list[TraceStep]] = []
    nfe = 0
    size = 1 if alone else batch_size

    def one(rows: slice) -> tuple[Tensor, list[TraceStep], int]:
        batch = prompts.batch(rows).to(generator.place.device)
        noise = starting_noise(prompts, rows, (corpus.window, width), seed)
        steps: list[TraceStep] = []
        last = None
        identity = int(prompts.identities[rows.start]) if alone else None
        for last in sample_steps(generator, batch, noise, sampler, guidance, seed, identity):
            context.stop.check(stage)
            if trace:
                steps.append(_trace_step(generator, last))
        assert last is not None
        return read_latents(generator, last.z_t)[0].cpu(), steps, last.nfe

    for rows, (token_ids, steps, evaluations) in halving_batches(len(prompts), size, one):
        tokens.append(token_ids)
        nfe = evaluations
        traces.append(steps)
        context.reporter.update(stage, rows.stop, len(prompts), {})
    return _collect(corpus, prompts, torch.cat(tokens), traces, nfe, time.monotonic() - start)


def _trace_step(generator: Generator, step: SamplerStep) -> TraceStep:
    token_ids, entropy, margin = read_latents(generator, step.z_hat)
    return TraceStep(
        step.t,
        step.z_t.cpu(),
        step.z_hat.cpu(),
        token_ids.cpu(),
        entropy.cpu(),
        margin.cpu(),
        step.nfe,
    )


def _collect(
    corpus: Corpus,
    prompts: Prompts,
    token_ids: Tensor,
    traces: list[list[TraceStep]],
    nfe: int,
    seconds: float,
) -> Continuations:
    continuations, ended = cut_continuations(token_ids.numpy(), prompts.cuts, corpus)
    return Continuations(
        prompts=prompts.texts,
        texts=[corpus.tokenizer.decode(ids) for ids in continuations],
        token_ids=continuations,
        ended=ended,
        nfe=nfe,
        seconds=seconds,
        trace=[_join(list(steps)) for steps in zip(*traces, strict=True)],
    )


def _join(steps: list[TraceStep]) -> TraceStep:
    return replace(
        steps[0],
        z_t=torch.cat([step.z_t for step in steps]),
        z_hat=torch.cat([step.z_hat for step in steps]),
        token_ids=torch.cat([step.token_ids for step in steps]),
        entropy=torch.cat([step.entropy for step in steps]),
        margin=torch.cat([step.margin for step in steps]),
    )


def cut_continuations(
    token_ids: np.ndarray, cuts: np.ndarray, corpus: Corpus
) -> tuple[list[np.ndarray], np.ndarray]:
    """Tokens after each cut up to the first end-of-text, and whether there was one."""
    eot = corpus.tokenizer.eot_id
    continuations, ended = [], np.zeros(len(cuts), bool)
    for row, cut in enumerate(cuts):
        ids = token_ids[row, cut:]
        stops = np.flatnonzero(ids == eot)
        ended[row] = len(stops) > 0
        continuations.append(ids[: stops[0]] if len(stops) else ids)
    return continuations, ended


def sample_prompts(
    run: Run,
    texts: list[str],
    context: StageContext,
    *,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    seed: int = 0,
    trace: bool = False,
) -> Continuations:
    """Continue a user's prompts with a run's generator; settings left out are the run's own.

    Up to `MOST_ALONE` one at a time: a prompt's text is then the same whatever is asked beside it,
    and as in playback. More of them go in batches, for speed.

    Raises:
        ValueError: a prompt does not fit, or a setting is out of range.
        InputError: the run is not trained yet.
    """
    from data.corpus_store import open_corpus
    from workbench.sample.references import open_references
    from workbench.sample.trajectories import store_trace

    corpus = open_corpus(run.study.corpus_dir)
    sampling = run.config.sampling
    asked_before = (run.study.references_dir / "prompts.parquet").is_file()
    known = open_references(run.study.references_dir) if asked_before else None
    prompts = typed_prompts(corpus, texts, known)
    changes: dict[str, Any] = {"num_steps": num_steps, "name": sampler}
    solver = replace(sampling.sampler, **{k: v for k, v in changes.items() if v is not None})
    scale = sampling.guidance_scales[0] if guidance_scale is None else guidance_scale
    result = continue_prompts(
        load_generator(run, context.place),
        corpus,
        prompts,
        context,
        sampler=solver,
        guidance=sampling.guidance(scale),
        seed=seed,
        batch_size=sampling.batch_size,
        alone=len(texts) <= MOST_ALONE,
        trace=trace,
    )
    if trace:
        store_trace(run, result, prompts, solver, scale, seed)
    return result
