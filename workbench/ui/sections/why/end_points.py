"""How far a generator misses: its end points against real latents, and what the decoder bears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.end_points import end_points_figure
from workbench.report.number_text import interval_text, number_text
from workbench.ui.kit.cached import read_table
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme
from workbench.ui.sections.shared.held_out import items_of
from workbench.ui.sections.shared.stored_results import Results, missing_note

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from analyses.figures.theme import Theme
    from workbench.study.folders import Run
    from workbench.ui.kit.selection import Selection

ENDS, BORNE = "trajectory.off_manifold", "decoder_basin.r50.boundary"
FEW = 0.05  # share of words that the decoder may lose before distance counts


def show_end_points(selection: Selection, results: Mapping[str, Results], height: int) -> None:
    """Draw the distances of the end points beside the error that each decoder bears."""
    with guarded("The end points"):
        handed = end_distances(selection.runs)
        if len(handed) < len(selection.arms):
            missing_note(selection, "trajectory")
            return
        spaces = items_of(selection, "tokens").spaces
        borne = {
            arm: error
            for arm in handed
            if (error := borne_error(results.get(arm, {}), spaces[arm])) is not None
        }
        arms = tuple(selection.all_arms)
        figure = kept_figure(_figure, handed, arms, borne, theme(), height)
        show_figure(figure, "end-points", caption=miss_sentence(handed, borne, results))


def _figure(
    handed: Mapping[str, np.ndarray],
    arms: Sequence[str],
    borne: Mapping[str, float],
    theme: Theme,
    height: int,
) -> go.Figure:
    figure = end_points_figure(handed, arms=arms, borne=borne, theme=theme)
    return figure.update_layout(height=height)


def end_distances(runs: Mapping[str, Run]) -> dict[str, np.ndarray]:
    """Arm -> how far each written word's end point lies from real latents; others are absent."""
    files = {arm: run.probes_dir / f"{ENDS}.parquet" for arm, run in runs.items()}
    return {
        arm: read_table(file)["end"].to_numpy(np.float64)
        for arm, file in files.items()
        if file.is_file()
    }


def borne_error(results: Results, latents: np.ndarray) -> float | None:
    """The error towards another word that half of the words survive, as end points are measured.

    The probe measures it in standard deviations of the latents (N, D), per dimension; end points
    are measured in the usual distance between real latents. None where either is not stored.
    """
    radius = results.get(BORNE, {}).get("score")
    unit = (results.get(ENDS, {}).get("detail") or {}).get("unit")
    if radius is None or not unit:
        return None
    return float(radius * np.linalg.norm(latents.std(axis=0, dtype=np.float64)) / unit)


def miss_sentence(
    distances: Mapping[str, np.ndarray], borne: Mapping[str, float], results: Mapping[str, Any]
) -> str:
    """How far the end points lie, with interval, n and chance; and how many the decoder loses."""
    misses = []
    for arm in distances:
        found = results.get(arm, {}).get(ENDS, {})
        mean = interval_text({**found, "mean": found.get("score")})
        chance = number_text(found.get("chance"))
        misses.append(f"{arm} {mean} (n {len(distances[arm])}, chance {chance})")
    said = f"Mean miss (1: as real latents lie apart): {', '.join(misses)}."
    if not borne:
        return said
    beyond = {arm: int((distances[arm] > error).sum()) for arm, error in borne.items()}
    counts = ", ".join(f"{n} of {len(distances[arm])} in {arm}" for arm, n in beyond.items())
    said = f"{said} Beyond what the decoder bears: {counts}."
    few = all(n <= FEW * len(distances[arm]) for arm, n in beyond.items())
    return f"{said} So distance is not the cause." if few else said
