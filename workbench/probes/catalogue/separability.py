"""Linear probes of latents, of sampling steps, and of the flow's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe, named, or_without_labels, with_detail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs

# Logistic regressions on all tokens would take longer than all other quick probes together.
LOGISTIC_ROWS = 2000
# A curve over steps counts as risen at this share of its whole rise.
RISE = 0.9


def _linear_separability(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.linear_separability import LinearSeparabilityConfig, linear_separability

    bootstrap = inputs.bootstrap
    results = []
    for label_set, labels in inputs.token_labels.items():
        tokens = inputs.tokens
        config = LinearSeparabilityConfig(
            label_set=label_set, max_rows=LOGISTIC_ROWS, bootstrap=bootstrap
        )
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
    return or_without_labels(results, "linear_separability")


def _denoising(inputs: ProbeInputs) -> list[Result]:
    """Text labels of the prompts, read at every step from the mean estimate at target positions.

    The score is the accuracy at the last step. Context positions are left out, so a label is
    readable only if the flow carried it over from the prompt.
    """
    from workbench.probes.inputs.run_inputs import masked_mean

    sampled = inputs.flow.sampled
    target = np.arange(sampled.end.shape[1]) >= sampled.cuts[:, None]
    steps = {
        f"{t:.4g}": masked_mean(z, target) for t, z in zip(sampled.t, sampled.z_hat, strict=True)
    }
    results = [
        _swept(inputs, "denoising", label_set, np.asarray(labels)[sampled.rows], steps)
        for label_set, labels in inputs.split.labels.items()
    ]
    return or_without_labels(results, "denoising")


def _flow_layers(inputs: ProbeInputs) -> list[Result]:
    """Token labels read from the states of real target tokens in each block, at t = 1/2.

    The score is the accuracy at the flow's output, the last entry of `detail["curve"]`.
    """
    denoised = inputs.flow.half_noised
    count = len(denoised.z_t)
    where = np.nonzero(inputs.mask[:count] & inputs.is_target[:count])
    where = tuple(part[: inputs.config.probe_tokens] for part in where)
    layers = {"z_t": denoised.z_t[where]}
    layers |= {f"block{i + 1}": states[where] for i, states in enumerate(denoised.hidden)}
    layers["z_hat"] = denoised.z_hat[where]
    results = [
        _swept(
            inputs,
            "flow_layers",
            label_set,
            inputs.split.padded_token_labels(label_set, inputs.rows[:count])[where],
            layers,
            groups=where[0],
        )
        for label_set in inputs.corpus.token_label_names
    ]
    return or_without_labels(results, "flow_layers")


def _swept(
    inputs: ProbeInputs,
    probe: str,
    label_set: str,
    labels: np.ndarray,
    places: Mapping[str, np.ndarray],
    groups: np.ndarray | None = None,
) -> Result:
    """A ridge probe at each place; returns the last result, with the curve in `detail`."""
    from analyses.spaces.linear_separability import LinearSeparabilityConfig, linear_separability

    config = LinearSeparabilityConfig(
        label_set=label_set, method="ridge", bootstrap=inputs.bootstrap
    )
    found = {
        place: linear_separability(features, labels, config, groups=groups)
        for place, features in places.items()
    }
    last = list(found.values())[-1]
    curve = {
        place: {"accuracy": result.score, "low": result.low, "high": result.high}
        for place, result in found.items()
    }
    result = with_detail(
        last, curve=curve, places=list(places), risen_at=_risen(list(found.items()), last.chance)
    )
    return named(result, f"{probe}.{label_set}")


def _risen(curve: Sequence[tuple[str, Result]], chance: float | None) -> str | None:
    """First place that reaches 90 % of the largest rise above chance; None without a rise."""
    scores = [-np.inf if result.score is None else result.score for _, result in curve]
    base = np.inf if chance is None else chance
    if not max(scores) > base:
        return None
    needed = base + RISE * (max(scores) - base)
    return curve[int(np.argmax(np.array(scores) >= needed))][0]


SEPARABILITY = {
    "linear_separability": Probe(
        question="can a linear probe read a label from the latents?",
        looks_at="z (texts: mean mu)",
        cost="quick",
        metrics="linear_separability",
        run=_linear_separability,
    ),
    "denoising": Probe(
        question="at which sampling step do the prompt's labels become readable?",
        looks_at="z_hat along the sampler's path",
        cost="full",
        metrics="denoising",
        run=_denoising,
        needs=("flow", "samples"),
    ),
    "flow_layers": Probe(
        question="in which of the flow's blocks can token labels be read at t = 1/2?",
        looks_at="hidden states of the DiT",
        cost="full",
        metrics="flow_layers",
        run=_flow_layers,
        needs=("flow",),
    ),
}
