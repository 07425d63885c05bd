"""Latents that a test puts into the inputs of probes, and what the probes make of them."""

import numpy as np

from analyses.result import Result
from workbench.probes.catalogue import PROBES
from workbench.probes.inputs.probe_inputs import ProbeInputs


def results(name: str, inputs: ProbeInputs) -> dict[str, Result]:
    return {result.name: result for result in PROBES[name].run(inputs)}


def scores(name: str, inputs: ProbeInputs) -> dict[str, float]:
    return {key: r.score for key, r in results(name, inputs).items() if r.score is not None}


def plant(inputs: ProbeInputs, latents: np.ndarray) -> None:
    """The same latents (T, L, D) for mean, sample and what the flow learns."""
    inputs.normalised_mu = inputs.normalised_z = latents.astype(np.float32)
    inputs.posterior_sample = inputs.normalised_mu


def noise_like(inputs: ProbeInputs, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(inputs.normalised_mu.shape).astype(np.float32)
