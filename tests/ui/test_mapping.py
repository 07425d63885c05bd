"""Maps are drawn one at a time over all sessions, each once, however many ask for it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from analyses.maps import latent_map
from analyses.maps.latent_map import LatentMapConfig
from workbench.ui.sections.latent_map import stored_maps as mapping

PCA_CONFIG = LatentMapConfig(method="pca")


@pytest.fixture
def crowds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sessions were drawing whenever one began to."""
    draw, inside, found = mapping._draw, [], []

    def watched(*arguments):
        inside.append(1)
        found.append(len(inside))
        time.sleep(0.2)  # long enough for another to come in, where nothing keeps it out
        draw(*arguments)
        inside.pop()

    monkeypatch.setattr(mapping, "_draw", watched)
    return found


@pytest.mark.parametrize(("keys", "num_drawn"), [(["same"] * 4, 1), (["one", "two"], 2)])
def test_sessions_at_once_draw_a_map_once_and_one_at_a_time(
    keys, num_drawn, crowds, tmp_path, monkeypatch
):
    missed = threading.Barrier(len(keys))

    @contextmanager
    def spinner(*arguments, **options):
        missed.wait(20)  # until every session has looked for its map and found none
        yield

    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monkeypatch.setattr(mapping.st, "spinner", spinner)
    rows = np.random.default_rng(0).standard_normal((30, 4))
    with ThreadPoolExecutor(len(keys)) as sessions:
        asked = [sessions.submit(mapping.maps_of, key, PCA_CONFIG, {"a": rows}) for key in keys]
    maps = [one.result() for one in asked]
    assert crowds == [1] * num_drawn
    assert len({found.coords["a"].tobytes() for found in maps}) == 1


@pytest.mark.parametrize(
    ("items", "warm", "said"),
    [
        (1_000, False, "10 seconds"),
        (1_000, True, "5 seconds"),
        (3_972, False, "20 seconds"),
        (3_972, True, "10 seconds"),
        (50_000, True, "11 minutes"),
    ],
)
def test_the_promise_of_umap_follows_the_items_and_its_process(items, warm, said, monkeypatch):
    monkeypatch.setattr(latent_map, "UMAP_PROCESS", SimpleNamespace(is_warm=warm))
    assert mapping.in_words(mapping.umap_seconds(items, 3)) == said
