"""Two-dimensional maps of a run's space, and how far each point can be trusted.

Qualitative only. Sampling trajectories share a linear basis with real latents, because a linear
map cannot move noise onto clusters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.probes.catalogue.entry import Probe

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs

MAPPED_TOKENS = 1500
Method = Literal["pca", "umap"]


def _latent_map(inputs: ProbeInputs) -> list[Result]:
    return _maps(inputs, "pca", "latent_map")


def _latent_map_umap(inputs: ProbeInputs) -> list[Result]:
    return _maps(inputs, "umap", "latent_map_umap")


def _maps(inputs: ProbeInputs, method: Method, prefix: str) -> list[Result]:
    texts = {"text": inputs.rows}
    of_texts = _map(inputs, method, f"{prefix}.text", inputs.text_features, texts)
    if not inputs.per_token:
        return [of_texts]
    tokens, rows = inputs.tokens, slice(0, MAPPED_TOKENS)
    columns = {
        "text": tokens.texts[rows],
        "position": tokens.positions[rows],
        "token_id": tokens.token_ids[rows],
        "is_target": tokens.is_target[rows],
    }
    return [_map(inputs, method, f"{prefix}.token", tokens.z[rows], columns), of_texts]


def _map(
    inputs: ProbeInputs,
    method: Method,
    name: str,
    features: np.ndarray,
    columns: dict[str, np.ndarray],
) -> Result:
    """Trustworthiness of one map; `per_item` has its points and the trust in each."""
    from analyses.maps.latent_map import LatentMapConfig, latent_map
    from analyses.maps.map_faithfulness import MapFaithfulnessConfig
    from analyses.result import undefined

    if len(features) < 3:
        return undefined(name, f"{len(features)} points; 3 are needed", len(features))
    config = LatentMapConfig(
        method=method,
        faithfulness=MapFaithfulnessConfig(bootstrap=inputs.bootstrap),
        seed=inputs.config.seed,
    )
    drawn = latent_map({name: features}, config)
    found, coords = drawn.faithfulness[name], drawn.coords[name]
    return replace(
        found,
        name=name,
        detail={**found.detail, "method": drawn.method, "notice": drawn.notice},
        per_item={**columns, "x": coords[:, 0], "y": coords[:, 1], **found.per_item},
    )


def _trajectory_map(inputs: ProbeInputs) -> list[Result]:
    """Stored trajectories of generated tokens, and real target latents, in one linear basis.

    The score is the share of variance that the two axes explain; chance is an even spread.
    """
    from analyses.maps.linear_basis import fit_linear_basis
    from analyses.result import Result, undefined

    stored, real = inputs.flow.trajectory, inputs.context_table.z[:MAPPED_TOKENS]
    written = inputs.flow.written(stored.token_ids[-1], stored.cuts)
    name = "trajectory_map"
    width = stored.z_t.shape[-1]
    if not written.any() or width < 2:
        reason = "every continuation is empty" if width >= 2 else "latents have one channel"
        return [undefined(name, reason, len(written))]
    path = stored.z_t[:, written]
    basis = fit_linear_basis([real, path.reshape(-1, width)])
    trace, position = np.nonzero(written)
    steps = len(path)
    points = np.concatenate([basis.project(path).reshape(-1, 2), basis.project(real)])
    blank = np.full(len(real), -1)
    return [
        Result(
            name=name,
            score=float(basis.explained.sum()),
            chance=2.0 / width,
            n=len(points),
            detail={"interval": "not drawn: the axes are fitted to the points shown"},
            per_item={
                "step": np.concatenate([np.repeat(np.arange(steps), len(trace)), blank]),
                "trace": np.concatenate([np.tile(trace, steps), blank]),
                "position": np.concatenate([np.tile(position, steps), blank]),
                "x": points[:, 0],
                "y": points[:, 1],
            },
        )
    ]


MAPS = {
    "latent_map": Probe(
        question="where do tokens and texts lie on a plane, and can the picture be trusted?",
        looks_at="z (texts: mean mu), PCA",
        cost="quick",
        metrics="latent_map",
        run=_latent_map,
        is_picture=True,
    ),
    "latent_map_umap": Probe(
        question="the same with UMAP, which costs seconds to minutes",
        looks_at="z (texts: mean mu), UMAP",
        cost="request",
        metrics="latent_map_umap",
        run=_latent_map_umap,
        is_picture=True,
    ),
    "trajectory_map": Probe(
        question="how do stored trajectories move among real latents?",
        looks_at="z_t, joint PCA with real z",
        cost="quick",
        metrics="trajectory_map",
        run=_trajectory_map,
        needs=("flow", "samples"),
        is_picture=True,
    ),
}
