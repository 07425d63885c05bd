"""Probes, scores, statistics and figures: arrays in, frozen results out.

    spaces      probes of a latent space           paths    sampling trajectories, onsets
    texts       scores of generated text           maps     two-dimensional maps
    scorecard   which probe foretells generation   figures  results to Plotly figures
    statistics  intervals, nulls, verdicts         numerics what several of them share

Nothing here knows torch, Streamlit, the models or the engine. A probe that needs a decoder or
a flow takes it as a function from arrays to arrays.

A measure with the name of its module is also offered by name alone, and loaded when asked for:
`from analyses import knn_coherence`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

ROOMS = ("spaces", "paths", "maps", "texts", "statistics", "scorecard")


def __getattr__(name: str) -> Any:
    for room in ROOMS if not name.startswith("_") else ():
        if find_spec(f"analyses.{room}.{name}"):
            return getattr(import_module(f"analyses.{room}.{name}"), name)
    raise AttributeError(f"module 'analyses' has no attribute {name!r}")
