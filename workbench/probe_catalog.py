"""Every probe by name: what it asks, and how its inputs are taken from a run.

The command line, the pages and the tests build themselves from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probe_inputs import ProbeInputs


@dataclass(frozen=True, slots=True)
class Probe:
    """One entry of the catalogue.

    Attributes:
        question: what it asks, in a line.
        looks_at: which latents: `mu`, `z`, or both.
        run: from a run's arrays to results.
    """

    question: str
    looks_at: str
    run: Callable[[ProbeInputs], list[Result]]


def _bootstrap(inputs: ProbeInputs) -> Any:
    from analyses.statistics import BootstrapConfig

    return BootstrapConfig(num_resamples=inputs.config.num_resamples, seed=inputs.config.seed)


def _reconstruction(inputs: ProbeInputs) -> list[Result]:
    from analyses.reconstruction import ReconstructionConfig, reconstruction

    token_ids, _ = inputs.split.padded(inputs.rows)
    read, nats = inputs.read(inputs.normalised_mu)
    sampled, sampled_nats = inputs.read(inputs.normalised_z)
    return [
        reconstruction(
            read,
            token_ids,
            ReconstructionConfig(bootstrap=_bootstrap(inputs)),
            mask=inputs.mask,
            sampled=sampled,
            nll=nats,
            sampled_nll=sampled_nats,
        )
    ]


def _scale(inputs: ProbeInputs) -> list[Result]:
    from analyses.scale import ScaleConfig, scale

    tokens = inputs.tokens
    config = ScaleConfig(bootstrap=_bootstrap(inputs))
    return [scale(tokens.mu, tokens.texts, config, logvar=tokens.logvar)]


def _velocity_floor(inputs: ProbeInputs) -> list[Result]:
    from analyses.velocity_floor import VelocityFloorConfig, gaussian_floor

    target = np.arange(inputs.mask.shape[1]) >= inputs.cuts[:, None]
    flow = inputs.run.config.flow
    config = VelocityFloorConfig(t_clamp=flow.t_clamp if flow.prediction == "z" else 0.0)
    return [
        gaussian_floor(
            inputs.normalised_z[target],
            np.nonzero(target)[0],
            config,
            t=inputs.times,
            posterior_variances=inputs.normalised_std[target] ** 2,
        )
    ]


def _knn_coherence(inputs: ProbeInputs) -> list[Result]:
    from analyses.knn_coherence import KnnCoherenceConfig, knn_coherence

    tokens, k, bootstrap = inputs.tokens, inputs.config.neighbors, _bootstrap(inputs)
    results = []
    for label_set, labels in tokens.labels.items():
        for level, exclude in (("token", None), ("token.other_id", tokens.token_ids)):
            config = KnnCoherenceConfig(level=level, k=k, bootstrap=bootstrap)
            result = knn_coherence(
                tokens.z, labels, config, exclude=exclude, groups=tokens.texts
            )
            results.append(_named(result, f"{result.name}.{label_set}"))
    for label_set, labels in inputs.text_labels.items():
        config = KnnCoherenceConfig(level="text", k=k, bootstrap=bootstrap)
        result = knn_coherence(inputs.text_features, labels, config)
        results.append(_named(result, f"{result.name}.{label_set}"))
    return results


def _linear_separability(inputs: ProbeInputs) -> list[Result]:
    from analyses.linear_separability import LinearSeparabilityConfig, linear_separability

    tokens, bootstrap = inputs.tokens, _bootstrap(inputs)
    results = []
    for label_set, labels in tokens.labels.items():
        config = LinearSeparabilityConfig(label_set=label_set, bootstrap=bootstrap)
        results.append(
            linear_separability(
                tokens.z,
                labels,
                config,
                baseline_features=tokens.embeddings,
                groups=tokens.texts,
            )
        )
    for label_set, labels in inputs.text_labels.items():
        config = LinearSeparabilityConfig(label_set=label_set, bootstrap=bootstrap)
        results.append(
            linear_separability(
                inputs.text_features, labels, config, baseline_features=inputs.text_baseline
            )
        )
    return results


def _named(result: Result, name: str) -> Result:
    from dataclasses import replace

    return replace(result, name=name)


PROBES: Mapping[str, Probe] = {
    "reconstruction": Probe(
        "does the decoder read the tokens back (the gate, not the score)?", "mu and z",
        _reconstruction,
    ),
    "scale": Probe(
        "how large are the latents against their posterior noise?", "mu", _scale
    ),
    "velocity_floor": Probe(
        "what loss needs no learning, knowing the covariance alone?", "z", _velocity_floor
    ),
    "knn_coherence": Probe(
        "do nearest neighbours share a label?", "z (texts: mean mu)", _knn_coherence
    ),
    "linear_separability": Probe(
        "does a linear probe read a label from the latents?", "z (texts: mean mu)",
        _linear_separability,
    ),
}
