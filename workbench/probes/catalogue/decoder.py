"""Probes of the decoder: its basins, and what it reads between two texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.probes.catalogue.entry import Probe, named

if TYPE_CHECKING:
    from analyses.result import Result
    from analyses.spaces.decoder_basin import DecoderBasinConfig
    from workbench.probes.inputs.probe_inputs import ProbeInputs

BASIN_TEXTS = 64
INTERPOLATED_TEXTS = 128
SWEEP = (0.0, 0.25, 0.5)
Direction = Literal["isotropic", "boundary"]


def _basin_config(inputs: ProbeInputs, direction: Direction = "isotropic") -> DecoderBasinConfig:
    from analyses.spaces.decoder_basin import DecoderBasinConfig

    return DecoderBasinConfig(
        direction=direction,
        batch_size=inputs.read_batch,
        bootstrap=inputs.bootstrap,
        seed=inputs.config.seed,
    )


def _decoder_basin(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.decoder_basin import decoder_basin, decoder_margin

    mu, z = inputs.normalised_mu[:BASIN_TEXTS], inputs.posterior_sample[:BASIN_TEXTS]
    mask, margin = inputs.mask[:BASIN_TEXTS], _basin_config(inputs)
    return [
        decoder_basin(mu, inputs.decode, mask, _basin_config(inputs, "isotropic")),
        decoder_basin(mu, inputs.decode, mask, _basin_config(inputs, "boundary")),
        named(decoder_margin(mu, inputs.decode, mask, margin), "decoder_basin.margin.mu"),
        named(decoder_margin(z, inputs.decode, mask, margin), "decoder_basin.margin.sample"),
    ]


def _decoder_basin_flow(inputs: ProbeInputs) -> list[Result]:
    """The same for latents made by the flow: its estimate at t = 1/2, and the end of the ODE."""
    from analyses.result import undefined
    from analyses.spaces.decoder_basin import decoder_basin, decoder_margin

    sampled, denoised = inputs.flow.sampled, inputs.flow.half_noised
    count = len(denoised.z_hat)
    real = inputs.mask[:count] & inputs.is_target[:count]
    config, prefix = _basin_config(inputs), "decoder_basin_flow"
    results = []
    if real.any():
        results.append(decoder_margin(denoised.z_hat, inputs.decode, real, config))
    else:
        results.append(undefined("", "no probed text has a token after its cut", 0))
    if sampled.written.any():
        results.append(decoder_margin(sampled.end, inputs.decode, sampled.written, config))
        kept = slice(0, BASIN_TEXTS)
        mask = sampled.written[kept] if sampled.written[kept].any() else sampled.written
        results.append(decoder_basin(sampled.end[: len(mask)], inputs.decode, mask, config))
    else:
        results += [undefined("", "every continuation is empty", len(sampled.end))] * 2
    names = ("margin.half_noised", "margin.ode_end", "r50.isotropic.ode_end")
    return [named(result, f"{prefix}.{name}") for result, name in zip(results, names, strict=True)]


def _manifold_continuity(inputs: ProbeInputs) -> list[Result]:
    from analyses.result import undefined
    from analyses.spaces.manifold_continuity import ManifoldContinuityConfig, manifold_continuity
    from analyses.statistics.half_samples import HalfSampleConfig

    latents = inputs.normalised_mu[:INTERPOLATED_TEXTS]
    name = "manifold_continuity.frechet"
    if len(latents) < 6:
        return [undefined(name, f"{len(latents)} texts; 6 are needed", len(latents))]
    scores = inputs.text_scores
    originals = [inputs.corpus.tokenizer.decode(ids) for ids in inputs.padded_ids[: len(latents)]]
    config = ManifoldContinuityConfig(
        sweep=SWEEP,
        batch_size=inputs.texts_at_once,
        half_samples=HalfSampleConfig(num_resamples=20, seed=inputs.config.seed),
        seed=inputs.config.seed,
    )
    result = manifold_continuity(
        latents, originals, inputs.decode_texts, scores.embed, config, scorers={}
    )
    partners = np.asarray(result.per_item["partner"])
    return [result, *_midpoints(inputs, latents, partners, config.alpha)]


def _midpoints(
    inputs: ProbeInputs, latents: np.ndarray, near: np.ndarray, alpha: float
) -> list[Result]:
    """Fluency of texts halfway to a near neighbour; chance is halfway to a random text."""
    from analyses.spaces.manifold_continuity import slerp

    scores = inputs.text_scores
    shift = np.random.default_rng(inputs.config.seed).integers(1, len(latents), len(latents))
    far = (np.arange(len(latents)) + shift) % len(latents)
    token_ids = [
        scores.token_ids(inputs.decode_texts(slerp(latents, latents[partner], alpha)))
        for partner in (near, far)
    ]
    nats = [scores.nats_per_token(ids) for ids in token_ids]
    grams = [scores.valid_4gram(ids) for ids in token_ids]
    return [
        _mean(inputs, "manifold_continuity.nats_per_token", *nats, higher_is_better=False),
        _mean(inputs, "manifold_continuity.valid_4gram", *grams, higher_is_better=True),
    ]


def _mean(
    inputs: ProbeInputs, name: str, near: np.ndarray, far: np.ndarray, *, higher_is_better: bool
) -> Result:
    from analyses.result import Result, undefined
    from analyses.statistics.intervals import bootstrap

    interval = bootstrap(near, inputs.bootstrap)
    if interval.mean is None:
        return undefined(name, interval.reason or "no text is defined", len(near))
    return Result.of(
        name,
        interval,
        chance=float(np.nanmean(far)) if np.isfinite(far).any() else None,
        higher_is_better=higher_is_better,
        per_item={"value": near, "random_partner": far},
    )


DECODER = {
    "decoder_basin": Probe(
        question="how far can a latent move before the decoder reads another token?",
        looks_at="mu and a posterior sample",
        cost="quick",
        metrics="decoder_basin",
        run=_decoder_basin,
        decodes="logits",
    ),
    "decoder_basin_flow": Probe(
        question="does the decoder still read clearly what the flow gives it?",
        looks_at="z_hat at t = 1/2 and the ODE's end",
        cost="full",
        metrics="decoder_basin_flow",
        run=_decoder_basin_flow,
        needs=("flow", "samples"),
    ),
    "manifold_continuity": Probe(
        question="does the space between two neighbouring texts still decode to text (text iFID)?",
        looks_at="mu",
        cost="quick",
        metrics="interpolation",
        run=_manifold_continuity,
        needs=("judge",),
        decodes="texts",
    ),
}
