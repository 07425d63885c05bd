"""The probe of misses: words that the flow was meant to write, and what stood there in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe, named

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs


def _near_misses(inputs: ProbeInputs) -> list[Result]:
    """How many words were missed, and for each label how many misses were of the same kind.

    Rows of `near_misses.same_kind`: `text` and `position` of a miss among the held-out texts, the
    tokens `meant` and `written`, `nearest` (token of the real latent nearest to the point), and
    `near`, the share of the nearest real latents that are of the kind that was meant.
    """
    from analyses.numerics.neighbors import NeighborConfig, nearest_in
    from analyses.result import undefined
    from analyses.spaces.near_misses import miss_rate, same_kind_misses

    ends = inputs.flow.finished
    texts, positions = np.nonzero((inputs.mask & inputs.is_target)[: len(ends)])
    if not len(texts):
        return [undefined("near_misses", "no probed text has a token after its cut", 0)]
    meant, written = inputs.padded_ids[texts, positions], inputs.decode_ids(ends)[texts, positions]
    results = [miss_rate(meant, written, texts, inputs.bootstrap)]
    search = NeighborConfig(k=inputs.config.neighbors)
    for label_set, labels in inputs.token_labels.items():
        kinds = inputs.split.padded_token_labels(label_set, inputs.rows)[texts, positions]
        found = same_kind_misses(meant, written, kinds, texts, inputs.bootstrap)
        if rows := found.per_item.get("row", np.empty(0, np.int64)).tolist():
            points = ends[texts[rows], positions[rows]]
            near = nearest_in(points, inputs.tokens.z, search).indices
            found = replace(found, per_item={
                "text": texts[rows], "position": positions[rows],
                "meant": meant[rows], "written": written[rows], "same": found.per_item["same"],
                "nearest": inputs.tokens.token_ids[near[:, 0]],
                "near": (labels[near] == kinds[rows, None]).mean(axis=1),
            })  # fmt: skip
        results.append(named(found, f"{found.name}.{label_set}"))
    return results


MISSES = {
    "near_misses": Probe(
        question="which words does the flow miss, and are those it writes of the same kind?",
        looks_at="the ODE's end, from real texts half noised",
        cost="quick",
        metrics="near_misses",
        run=_near_misses,
        needs=("flow",),
    ),
}
