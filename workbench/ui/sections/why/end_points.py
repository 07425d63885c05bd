"""Where the generator's paths end: how far from every latent that the encoder made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analyses.figures.end_points import end_points_figure
from workbench.report.number_text import number_text
from workbench.ui.kit.cached import read_table
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.theme import theme
from workbench.ui.sections.shared.stored_results import Results, missing_note

if TYPE_CHECKING:
    from workbench.study.folders import Run
    from workbench.ui.kit.selection import Selection

FAR = 2.0  # twice the usual distance between real latents


def show_end_points(selection: Selection, results: Mapping[str, Results]) -> None:
    """An expander that draws the distances of the end points once it is open."""
    with guarded("The end points"):
        more = st.expander(
            "How far from real latents the paths end", key="ends", bind="query-params"
        )
        if not more.open:
            return
        with more:
            _draw(selection, results)


def _draw(selection: Selection, results: Mapping[str, Results]) -> None:
    handed = end_distances(selection.runs)
    if len(handed) < len(selection.arms):
        missing_note(selection, "trajectory")
        return
    show_figure(
        end_points_figure(handed, arms=selection.all_arms, theme=theme()),
        "end-points",
        caption="The encoder's own latents lie about 1 apart: those are all that "
        "reconstruction sees. A curve that stays high to the right of 1 is a generator that "
        f"hands over points where no text ever was. {far_sentence(handed, results)} Where the "
        "curves run together and the arms still write unlike, it is not by how far they miss.",
    )


def end_distances(runs: Mapping[str, Run]) -> dict[str, np.ndarray]:
    """Arm -> how far each written word's end point lies from real latents; others are absent."""
    files = {arm: run.probes_dir / "trajectory.off_manifold.parquet" for arm, run in runs.items()}
    return {
        arm: read_table(file)["end"].to_numpy(np.float64)
        for arm, file in files.items()
        if file.is_file()
    }


def far_sentence(distances: Mapping[str, np.ndarray], results: Mapping[str, Any]) -> str:
    """The share of words that end far from every real latent, with interval, n and chance."""
    from analyses.statistics.intervals import bootstrap

    shares, chances = [], []
    for arm, values in distances.items():
        share = bootstrap((values > FAR).astype(np.float64))
        shares.append(
            f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}] in {arm} (n {share.n})"
        )
        chance = results.get(arm, {}).get("trajectory.off_manifold", {}).get("chance")
        chances.append(f"{number_text(chance)} in {arm}")
    return (
        f"Further than {FAR:g} end {', '.join(shares)}. By chance, as points of a Gaussian of the "
        f"same spread, the mean distance is {', '.join(chances)}."
    )
