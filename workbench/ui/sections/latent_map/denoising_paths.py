"""Stored denoising trajectories on a linear map: where each word of a prompt came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as File
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.sample.held_out import scale_name
from workbench.sample.trajectories import read_trajectory
from workbench.ui.kit.scan import stamp
from workbench.ui.map.view import Path

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.latent_map.map_choice import MapChoice
    from workbench.ui.sections.latent_map.stored_maps import Maps

MOST_PROMPTS, MOST_WORDS = 8, 12


def paths_of(selection: Selection, choice: MapChoice, maps: Maps) -> dict[str, list[Path]]:
    """Each arm's ways of the same prompts, of the first words of their continuations.

    Empty where an arm stores no trajectory: nothing is sampled for it here.
    """
    files = {}
    for arm, run in selection.runs.items():
        name = scale_name(run.config.sampling.guidance_scales[0])
        files[arm] = run.trajectories_dir / f"{name}.safetensors"
    if not all(file.is_file() for file in files.values()):
        return {}
    return {
        arm: _paths(str(file), stamp(file), choice.key, choice.items.spaces[arm], maps.coords[arm])
        for arm, file in files.items()
    }


@st.cache_resource(max_entries=16, show_spinner=False)
def _paths(
    file: str, stamp: tuple[int, int], key: str, _space: np.ndarray, _coords: np.ndarray
) -> list[Path]:
    track, texts = read_trajectory(File(file))
    project = affine_map(_space, _coords)
    paths = []
    for row, (prompt, cut) in enumerate(zip(texts["prompts"], track.cuts, strict=True)):
        ways = track.z_t[:, row, cut : cut + MOST_WORDS]
        paths.append(Path(prompt, project(ways)))
    return paths[:MOST_PROMPTS]


def affine_map(space: np.ndarray, coords: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map from a space (N, F) onto its map (N, 2), by least squares.

    Exact where the map is linear, as principal components are.
    """
    known = np.c_[space.astype(np.float64), np.ones(len(space))]
    weights, *_ = np.linalg.lstsq(known, coords.astype(np.float64), rcond=None)

    def project(points: np.ndarray) -> np.ndarray:
        """Points (..., F) on the map (..., 2)."""
        return points.astype(np.float64) @ weights[:-1] + weights[-1]

    return project
