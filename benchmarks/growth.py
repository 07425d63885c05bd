"""How time and memory grow: with texts, sequence length, neighbours' rows, and points on the map.

Preparing a corpus is measured in a fresh process per size, with its peak memory beside that of a
process that prepares a hundred texts. Arms and seeds are in `comparing`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from benchmarks.measuring import Growth, Setting, costs_of, growth_of, measure_growth
from benchmarks.processes import most_megabytes, python
from models.configs.flow import FlowConfig, TextDiTConfig
from models.dit import TextDiT
from models.flow import flow_loss
from models.precision import bfloat16_autocast

LENGTHS = (32, 64, 128, 256, 512, 1024)
ROWS = (1_000, 2_000, 4_000, 8_000, 16_000)
TEXTS, FEWEST_TEXTS = (1_000, 10_000, 100_000), 100
POINTS = (1_000, 10_000, 100_000, 1_000_000)
BATCH, LATENT_WIDTH, FEATURES = 8, 16, 64
REPEATS = 7


def growth_of_length(setting: Setting) -> Iterator[Growth]:
    """One training step of the flow, by tokens in a text."""
    sizes = LENGTHS[:3] if setting.quick else LENGTHS
    stage, repeats = f"DiT step, 128 x 4, batch {BATCH}", setting.repeats(REPEATS)
    yield measure_growth(stage, "length", sizes, _dit_step, repeats=repeats)


def growth_of_rows(setting: Setting) -> Iterator[Growth]:
    """Exact nearest neighbours, by rows."""
    sizes = ROWS[:3] if setting.quick else ROWS
    stage, repeats = f"exact kNN, {FEATURES} features", setting.repeats(REPEATS)
    yield measure_growth(stage, "rows", sizes, _neighbors, repeats=repeats)


def growth_of_points(setting: Setting) -> Iterator[Growth]:
    """What a page packs and sends for a map, by points."""
    sizes = POINTS[:2] if setting.quick else POINTS
    stage, repeats = "what a map sends, packed", setting.repeats(REPEATS)
    yield measure_growth(stage, "points", sizes, _packing, repeats=repeats)


def growth_of_texts(setting: Setting) -> Iterator[Growth]:
    """Preparing a corpus of stories: written, deduplicated, split, tokenised, stored."""
    sizes = (200, 400) if setting.quick else TEXTS
    _, least = _prepared(FEWEST_TEXTS)
    found = [_prepared(size) for size in sizes]
    yield growth_of(
        "prepare a corpus",
        "texts",
        sizes,
        [[seconds for seconds, _ in found]],
        tuple(round(memory - least, 1) for _, memory in found),
    )


def _prepared(num_texts: int) -> tuple[float, float]:
    """Processor seconds of preparing a corpus in a fresh process, and its peak memory in MB."""
    seconds, memory = json.loads(python("-m", "benchmarks.growth", str(num_texts)).splitlines()[-1])
    return float(seconds), float(memory)


def prepare(num_texts: int) -> None:
    """Prepare a corpus of stories and print what it cost."""
    from workbench.config.presets.on_two_cores import demo
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement
    from workbench.study.corpus import prepare_corpus
    from workbench.study.record import create_study

    base = demo().base
    corpus = dataclasses.replace(base.corpus, num_documents=num_texts)
    config = dataclasses.replace(
        demo(), name="growth", base=dataclasses.replace(base, corpus=corpus)
    )
    with TemporaryDirectory(prefix="benchmark-") as name:
        study = create_study(config, Path(name) / "growth")
        context = StageContext(find_placement("cpu"))
        seconds = costs_of(lambda: prepare_corpus(study, context))[1]
    print(json.dumps([seconds, most_megabytes()]))


def _packing(num_points: int) -> Callable[[], None]:
    from analyses.figures.linked_maps import Colouring
    from workbench.probes.spaces import Items
    from workbench.ui.map.look import Look
    from workbench.ui.map.packing import pack
    from workbench.ui.map.view import MapView

    rng = np.random.default_rng(0)
    coords = {"none": rng.standard_normal((num_points, 2)).astype(np.float32)}
    names = [f"word {row % 500}" for row in range(num_points)]
    view = MapView(
        key="growth",
        items=Items(coords, names, names, {}, names, np.arange(num_points)),
        coords=coords,
        titles={"none": "none"},
        colouring=Colouring(
            name="class", codes=rng.integers(0, 3, num_points), classes=("noun", "verb", "other")
        ),
        hint="",
        file="map",
        paths={},
        first=0,
    )

    def packed() -> None:
        pack(view, Look(), "light")

    return packed


def _dit_step(length: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    config = TextDiTConfig(width=128, layers=4, heads=4, latent_width=LATENT_WIDTH, window=length)
    dit = TextDiT(config, generator)
    optimizer = torch.optim.AdamW(dit.parameters(), fused=True)
    z = torch.randn(BATCH, length, LATENT_WIDTH, generator=generator)
    ctx_mask = (torch.arange(length) < length // 2).expand(BATCH, length)
    # Self-conditioning is off, because it adds a second pass to random steps.
    flow = FlowConfig(self_conditioning_prob=0.0)

    def step() -> None:
        with bfloat16_autocast("cpu"):
            loss = flow_loss(dit, z, z, ctx_mask, flow, generator).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _neighbors(num_rows: int) -> Callable[[], None]:
    features = np.random.default_rng(0).standard_normal((num_rows, FEATURES)).astype(np.float32)
    config = NeighborConfig(k=10, metric="euclidean")

    def search() -> None:
        nearest_neighbors(features, config)

    return search


if __name__ == "__main__":
    prepare(int(sys.argv[1]))
