"""Probes of the latents' shape: reconstruction, scale, floors, VIV, dimension, isotropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe, named, or_without_labels

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs


def _reconstruction(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.reconstruction import ReconstructionConfig, reconstruction

    read, nats = inputs.read(inputs.normalised_mu)
    sampled, sampled_nats = inputs.read(inputs.posterior_sample)
    return [
        reconstruction(
            read,
            inputs.padded_ids,
            ReconstructionConfig(bootstrap=inputs.bootstrap),
            mask=inputs.split.padded(inputs.rows)[1],
            sampled=sampled,
            nll=nats,
            sampled_nll=sampled_nats,
        )
    ]


def _scale(inputs: ProbeInputs) -> list[Result]:
    from analyses.result import undefined
    from analyses.spaces.scale import ScaleConfig, scale

    if not inputs.has_spread:
        return [undefined("scale", "the bundle gives no posterior spread (std)", 0)]
    tokens = inputs.tokens
    config = ScaleConfig(bootstrap=inputs.bootstrap)
    return [scale(tokens.mu, tokens.texts, config, logvar=tokens.logvar)]


def _velocity_floor(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.velocity_floor import VelocityFloorConfig, gaussian_floor

    target, flow = inputs.is_target, inputs.run.config.flow
    config = VelocityFloorConfig(t_clamp=flow.t_clamp if flow.prediction == "z" else 0.0)
    variances = inputs.normalised_std[target] ** 2
    return [
        gaussian_floor(
            inputs.normalised_z[target],
            np.nonzero(target)[0],
            config,
            t=inputs.times,
            posterior_variances=0 * variances if inputs.learns_means else variances,
        )
    ]


def _velocity_information(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.velocity_information import (
        VelocityInformationConfig,
        context_velocity_information,
        velocity_information,
    )

    config = VelocityInformationConfig(
        num_permutations=5, half_samples=inputs.half_samples, seed=inputs.config.seed
    )
    results = []
    if inputs.per_token:
        tokens = inputs.tokens
        for label_set, labels in {"token_id": tokens.token_ids, **tokens.labels}.items():
            result = velocity_information(tokens.z, labels, config, groups=tokens.texts)
            results.append(named(result, f"{result.name}.{label_set}"))
    # Text labels: rows are texts, not tokens, or shuffled labels would be too easy to beat.
    for label_set, labels in inputs.text_labels.items():
        result = velocity_information(inputs.text_features, labels, config)
        results.append(named(result, f"{result.name}.{label_set}"))
    if not inputs.per_token:
        return or_without_labels(results, "velocity_information")
    table = inputs.context_table
    results.append(context_velocity_information(table.z, table.context, config, table.texts))
    return results


def _intrinsic_dimension(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.intrinsic_dimension import IntrinsicDimensionConfig, intrinsic_dimension

    config = IntrinsicDimensionConfig(seed=inputs.config.seed)
    spaces = {}
    if inputs.per_token:
        spaces = {"z": inputs.tokens.z, "mu": inputs.tokens.normalised_mu}
    spaces["text"] = inputs.text_features
    results = {name: intrinsic_dimension(rows, config=config) for name, rows in spaces.items()}
    return [named(result, f"{result.name}.{space}") for space, result in results.items()]


def _isotropy(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.isotropy import IsotropyConfig, isotropy, uniformity

    config = IsotropyConfig(
        max_rows=2000, half_samples=inputs.half_samples, seed=inputs.config.seed
    )
    rows = inputs.tokens.z
    return [isotropy(rows, config=config), uniformity(rows, config=config)]


GEOMETRY = {
    "reconstruction": Probe(
        question="does the decoder read the tokens back (the gate, not the score)?",
        looks_at="mu and a posterior sample",
        cost="quick",
        metrics="reconstruction",
        run=_reconstruction,
        decodes="texts",
    ),
    "scale": Probe(
        question="how large are the latents compared with their posterior noise?",
        looks_at="mu",
        cost="quick",
        metrics="scale",
        run=_scale,
        needs_tokens=True,
    ),
    "velocity_floor": Probe(
        question="what loss can be reached by knowing only the covariance?",
        looks_at="z",
        cost="quick",
        metrics="floor",
        run=_velocity_floor,
        needs_tokens=True,
    ),
    "velocity_information": Probe(
        question="how much of the velocity stays unknown given a label, or the context (VIV)?",
        looks_at="z (texts: mean mu)",
        cost="quick",
        metrics="velocity_information",
        run=_velocity_information,
    ),
    "intrinsic_dimension": Probe(
        question="how many directions does a point's neighbourhood have (TwoNN)?",
        looks_at="z, mu, texts: mean mu",
        cost="quick",
        metrics="intrinsic_dimension",
        run=_intrinsic_dimension,
    ),
    "isotropy": Probe(
        question="does the space use its directions evenly?",
        looks_at="z",
        cost="quick",
        metrics="isotropy",
        run=_isotropy,
        needs_tokens=True,
    ),
}
