"""Probes of two runs of one study together: what moved, what stayed, and one map for both.

The items are the same held-out texts and tokens in the same order. The spaces share no axes, so
only an item's neighbours, and geometry up to rotation, can be compared.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.config.run import in_teacher_space
from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.probes.catalogue.entry import named
from workbench.probes.run import PROBES_VERSION, write_items
from workbench.store.json_files import read_json, write_json
from workbench.study.pairing import NO_TWIN, NOT_PROVED
from workbench.train.latents import latents_fingerprint

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.study.folders import Run, Study

PAIR_TOKENS = 2000


def pair_file(first: Run, second: Run) -> Path:
    """Where a pair's results are kept.

    Raises:
        InputError: the runs are not two arms of one study under one seed.
    """
    same_study = first.study.directory == second.study.directory
    if not same_study or first.seed != second.seed or first.arm == second.arm:
        raise InputError(
            f"{first.name} and {second.name} are not twins: "
            "name two arms of one study under one seed"
        )
    name = f"{first.arm}-{second.arm}-seed-{first.seed}.json"
    return first.study.directory / "pairs" / name


def pair_fingerprint(first: Run, second: Run) -> str:
    """Fingerprint of a pair's results."""
    return stage_fingerprint(
        PROBES_VERSION,
        [latents_fingerprint(run) for run in (first, second)],
        replace(first.study.config.base.evaluation, probes="all"),
    )


def probe_pair(first: Run, second: Run, context: StageContext) -> dict[str, Any]:
    """Probe two runs together, unless the results are stored already.

    Writes `pairs/<first>-<second>-seed-<k>.json` and, for every result with one row per item, a
    Parquet file beside it.

    Returns:
        The content of the file: `a`, `b`, `seed`, `fingerprint` and `results` by name.

    Raises:
        InputError: the runs are not twins, or one of them has no latents yet.
    """
    file = pair_file(first, second)
    print_ = pair_fingerprint(first, second)
    if file.is_file():
        stored = read_json(file)
        if stored.get("fingerprint") == print_:
            return stored
    from workbench.probes.inputs.probe_inputs import ProbeInputs

    context.reporter.update("pairs", 0, 1, {"pair": file.stem})
    with context.stop.interrupting("pairs"):
        found = pair_results(*(ProbeInputs(run, context.place) for run in (first, second)))
    for result in found:
        write_items(file.with_name(f"{file.stem}.{result.name}.parquet"), result)
    document = {
        "a": first.arm,
        "b": second.arm,
        "seed": first.seed,
        "fingerprint": print_,
        "results": {result.name: result.to_json() for result in found},
    }
    if first.imported is not None or second.imported is not None:
        document["pairing"] = NOT_PROVED
    elif in_teacher_space(first.config) or in_teacher_space(second.config):
        document["pairing"] = NO_TWIN
    write_json(file, document)
    context.reporter.update("pairs", 1, 1, {"pair": file.stem})
    return document


def probe_pairs(study: Study, context: StageContext) -> list[dict[str, Any]]:
    """`probe_pair` for the first arm with each other arm, under every seed."""
    first, *others = study.config.arms
    return [
        probe_pair(study.run(first, seed), study.run(other, seed), context)
        for seed, other in itertools.product(study.config.seeds, others)
    ]


def pair_results(first: ProbeInputs, second: ProbeInputs) -> list[Result]:
    """Alignment, displacement and the joint map of two spaces, for texts and for tokens."""
    from workbench.probes.catalogue.neighborhoods import alignment_config, alignments

    levels: dict[str, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = {
        "text": (first.text_features, second.text_features, {"text": first.rows})
    }
    if first.per_token and second.per_token:
        tokens, rows = first.tokens, slice(0, PAIR_TOKENS)
        levels["token"] = (
            tokens.normalised_mu[rows],
            second.tokens.normalised_mu[rows],
            {
                "text": tokens.texts[rows],
                "position": tokens.positions[rows],
                "token_id": tokens.token_ids[rows],
            },
        )
    results = []
    for level, (a, b, columns) in levels.items():
        results += [
            named(result, f"alignment.{measure}.{level}")
            for measure, result in alignments(a, b, alignment_config(first)).items()
        ]
        results.append(_displacement(first, level, a, b, columns))
    return [*results, *_joint_map(first, second)]


def _displacement(
    inputs: ProbeInputs,
    level: str,
    a: np.ndarray,
    b: np.ndarray,
    columns: dict[str, np.ndarray],
) -> Result:
    from analyses.spaces.displacement import DisplacementConfig, displacement

    config = DisplacementConfig(k=inputs.config.neighbors, bootstrap=inputs.bootstrap)
    result = displacement(a, b, config)
    items = {**columns, **result.per_item} if result.per_item else {}
    return replace(result, name=f"displacement.{level}", per_item=items)


def _joint_map(first: ProbeInputs, second: ProbeInputs) -> list[Result]:
    """Each arm's texts by PCA; Procrustes aligns the second map with the first."""
    from analyses.maps.latent_map import LatentMapConfig, latent_map
    from analyses.maps.map_faithfulness import MapFaithfulnessConfig

    config = LatentMapConfig(
        method="pca",
        faithfulness=MapFaithfulnessConfig(bootstrap=first.bootstrap),
        seed=first.config.seed,
    )
    spaces = {inputs.run.arm: inputs.text_features for inputs in (first, second)}
    drawn = latent_map(spaces, config)
    return [
        replace(
            found,
            name=f"latent_map.text.{arm}",
            per_item={
                "text": first.rows,
                "x": drawn.coords[arm][:, 0],
                "y": drawn.coords[arm][:, 1],
                **found.per_item,
            },
        )
        for arm, found in drawn.faithfulness.items()
    ]
