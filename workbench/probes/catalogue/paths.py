"""Probes of sampling trajectories: the ODE's shape, commitment, and what comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe, with_detail

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.sample.trajectories import Trajectory


def _trajectory(inputs: ProbeInputs) -> list[Result]:
    stored = inputs.flow.trajectory
    written = inputs.flow.written(stored.token_ids[-1], stored.cuts)
    return [
        *_shapes(inputs, stored.cuts),
        _off_manifold(inputs, stored, written),
        _commitment(inputs, stored, written),
        _fidelity_lag(inputs, stored),
    ]


def _shapes(inputs: ProbeInputs, cuts: np.ndarray) -> list[Result]:
    """Straightness, efficiency and segment ratio of the ODE; one trajectory per text's target.

    Tokens of one text move together, so intervals resample texts, not tokens.
    """
    from analyses.paths.trajectory import TrajectoryConfig, efficiency, segment_ratio, straightness
    from analyses.result import undefined

    config = TrajectoryConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    times, states = inputs.flow.ode_path
    if len(times) < 3:
        shapes = ("straightness", "efficiency", "segment_ratio")
        reason = f"{len(times) - 1} step of the sampler; 2 are needed"
        return [undefined(f"trajectory.{shape}", reason, len(cuts)) for shape in shapes]
    target = np.arange(states.shape[2]) >= cuts[:, None]
    moving = states * target[None, :, :, None]
    points = moving.reshape(*moving.shape[:2], -1)
    return [
        straightness(points, config),
        efficiency(points, config),
        segment_ratio(points, config, times),
    ]


def _off_manifold(inputs: ProbeInputs, stored: Trajectory, written: np.ndarray) -> Result:
    """Distance of generated tokens' states to held-out target latents; one trajectory per token."""
    from analyses.paths.trajectory import TrajectoryConfig, off_manifold_distance
    from analyses.result import undefined

    if not written.any():
        return undefined("trajectory.off_manifold", "every continuation is empty", len(written))
    config = TrajectoryConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    real = inputs.context_table.z
    return off_manifold_distance(stored.z_t[:, written], real, config)


def _commitment(inputs: ProbeInputs, stored: Trajectory, written: np.ndarray) -> Result:
    """When generated tokens stop changing, and the decoder's entropy and margin on the way."""
    from analyses.paths.trajectory_reading import TrajectoryReadingConfig, commitment

    config = TrajectoryReadingConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    result = commitment(stored.token_ids, written, config)
    if not written.any():
        return result
    return with_detail(
        result,
        t=stored.t,
        entropy=stored.entropy[:, written].mean(axis=1),
        margin=stored.margin[:, written].mean(axis=1),
    )


def _fidelity_lag(inputs: ProbeInputs, stored: Trajectory) -> Result:
    """Fluency and fidelity of the text read at every step."""
    from analyses.paths.trajectory_reading import TrajectoryReadingConfig, fluency_against_fidelity
    from analyses.result import undefined

    references = inputs.flow.references
    count = len(stored.cuts)
    if not any(references.facts[:count]):
        return undefined("trajectory.fidelity_lag", "the corpus has no facts", count)
    config = TrajectoryReadingConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    fluency = np.stack([_fluency(inputs, ids, stored.cuts) for ids in stored.token_ids])
    faithful = np.stack([_fidelity(inputs, ids, stored.cuts) for ids in stored.token_ids])
    return with_detail(fluency_against_fidelity(fluency, faithful, config), t=stored.t)


def _fluency(inputs: ProbeInputs, token_ids: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Negative nats per token (B,) of the texts after their prompts."""
    prompts = inputs.split.padded(inputs.flow.references.indices[: len(cuts)])[0]
    texts = []
    for ids, prompt, cut in zip(token_ids, prompts, cuts, strict=True):
        ends = np.flatnonzero(ids[cut:] == inputs.corpus.tokenizer.eot_id)
        stop = cut + ends[0] if len(ends) else len(ids)
        texts.append(np.concatenate([prompt[:cut], ids[cut:stop]]))
    return -inputs.text_scores.nats_per_token(texts, cuts.astype(np.int64))


def _fidelity(inputs: ProbeInputs, token_ids: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Share of expected facts that are kept (B,), NaN where none is expected."""
    from analyses.texts.fidelity import fidelity

    references, count = inputs.flow.references, len(cuts)
    decode = inputs.corpus.tokenizer.decode
    scores = fidelity(
        [decode(ids[cut:]) for ids, cut in zip(token_ids, cuts, strict=True)],
        references.prompts[:count],
        references.continuations[:count],
        references.facts[:count],
        inputs.corpus.fact_values,
    )
    return scores.values["fidelity"]


PATHS = {
    "trajectory": Probe(
        question="how straight is the path to a text, how far from real latents, how late decided?",
        looks_at="z_t of the ODE; z_t and z_hat as sampled",
        cost="quick",
        metrics="trajectory",
        run=_trajectory,
        needs=("flow", "samples", "judge"),
    ),
}
