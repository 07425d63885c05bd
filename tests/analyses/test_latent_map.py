"""Maps: PCA oracles, Procrustes, what the UMAP process is handed, and what stands in for it."""

import json

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.decomposition import PCA

from analyses.maps import latent_map as module
from analyses.maps.latent_map import LatentMapConfig, latent_map
from analyses.maps.linear_basis import fit_linear_basis, procrustes_aligned

PCA_CONFIG = LatentMapConfig(method="pca")


def cloud(n=60, f=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, f)) * np.arange(f, 0, -1)


def test_the_basis_equals_scikit_learns_components():
    rows = cloud() + 9.0
    basis, theirs = fit_linear_basis([rows], 3), PCA(3).fit(rows)
    np.testing.assert_allclose(basis.explained, theirs.explained_variance_ratio_)
    overlap = np.abs(basis.components @ theirs.components_.T)
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(
        np.abs(basis.project(rows)), np.abs(theirs.transform(rows)), atol=1e-4
    )


def test_blocks_weigh_alike_and_a_path_keeps_its_shape():
    long, short = np.tile([0.0, 1.0, 0.0], (1000, 1)), np.tile([2.0, 1.0, 0.0], (3, 1))
    basis = fit_linear_basis([long, short], 1)
    np.testing.assert_allclose(basis.mean, [1.0, 1.0, 0.0])
    np.testing.assert_allclose(basis.components, [[1.0, 0.0, 0.0]])
    assert basis.project(np.zeros((7, 4, 3))).shape == (7, 4, 1)


def test_procrustes_undoes_a_similarity_and_never_changes_shape():
    flat = cloud(f=2)
    turned = 0.2 * flat @ ortho_group.rvs(2, random_state=1) + 50.0
    np.testing.assert_allclose(procrustes_aligned(turned, flat), flat, atol=1e-4)
    other = procrustes_aligned(cloud(f=2, seed=3), flat)
    before, after = (np.linalg.norm(m - m[0], axis=1)[1:] for m in (cloud(f=2, seed=3), other))
    assert np.ptp(after / before) < 1e-4


def test_twin_maps_of_a_rotated_space_lie_on_each_other():
    rows = cloud()
    twins = {"none": rows, "repa": 4.0 * rows @ ortho_group.rvs(5, random_state=0) + 3.0}
    drawn = latent_map(twins, PCA_CONFIG)
    assert (drawn.method, drawn.notice) == ("pca", None)
    np.testing.assert_allclose(drawn.coords["repa"], drawn.coords["none"], atol=1e-3)
    assert drawn.coords["none"].shape == (60, 2)
    assert set(drawn.faithfulness) == {"none", "repa"}


def test_widths_may_differ_and_one_column_or_none_of_spread_is_drawn():
    drawn = latent_map(
        {"wide": cloud(f=7), "thin": cloud(f=1), "flat": np.ones((60, 3))}, PCA_CONFIG
    )
    assert all(np.isfinite(coords).all() for coords in drawn.coords.values())
    assert drawn.faithfulness["flat"].score is None


def test_the_process_is_handed_exact_neighbours_with_the_point_itself_first(monkeypatch):
    seen = {}

    def draw(folder, timeout_s):
        assert timeout_s == 900.0
        seen["settings"] = json.loads((folder / "settings.json").read_text())
        for i in range(2):
            seen[i] = {
                part: np.load(folder / f"{part}-{i}.npy", allow_pickle=False)
                for part in ("features", "indices", "distances")
            }
            np.save(folder / f"coords-{i}.npy", seen[i]["features"][:, :2])
        return ""

    monkeypatch.setattr(module.UMAP_PROCESS, "draw", draw)
    spaces = {"a": cloud(), "b": cloud(seed=1) + 40.0}
    drawn = latent_map(spaces, LatentMapConfig(num_neighbors=8, metric="euclidean", seed=5))
    assert drawn.method == "umap"
    assert seen["settings"] == {"num_spaces": 2, "min_dist": 0.1, "num_epochs": 300, "seed": 5}
    for i, rows in enumerate(spaces.values()):
        away = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
        order = np.argsort(away, axis=1)[:, :8]
        np.testing.assert_array_equal(seen[i]["indices"], order)
        np.testing.assert_allclose(
            seen[i]["distances"], np.take_along_axis(away, order, axis=1), rtol=1e-5
        )
        np.testing.assert_allclose(seen[i]["features"].mean(axis=0), 0.0, atol=1e-5)


def test_a_process_that_fails_leaves_pca_and_its_last_words(monkeypatch):
    said = "UMAP ended with code 1 (ImportError: no umap)"
    monkeypatch.setattr(module.UMAP_PROCESS, "draw", lambda folder, timeout_s: said)
    drawn = latent_map({"a": cloud()}, LatentMapConfig())
    assert (drawn.method, drawn.notice) == ("pca", f"PCA in place of UMAP: {said}")
    np.testing.assert_array_equal(
        drawn.coords["a"], latent_map({"a": cloud()}, PCA_CONFIG).coords["a"]
    )


def test_few_points_are_drawn_by_pca_with_a_notice():
    drawn = latent_map({"a": cloud(n=5)}, LatentMapConfig())
    assert drawn.method == "pca"
    assert "5 points" in drawn.notice


@pytest.mark.slow
def test_umap_keeps_clusters_repeats_under_a_seed_and_lays_twins_on_each_other():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=240)
    first = rng.standard_normal((240, 8)) + 6.0 * np.eye(8)[labels]
    twins = {"a": first, "b": first @ ortho_group.rvs(8, random_state=0)}
    config = LatentMapConfig(metric="euclidean", num_epochs=200)
    drawn, again = latent_map(twins, config), latent_map(twins, config)
    assert drawn.notice is None
    np.testing.assert_array_equal(drawn.coords["a"], again.coords["a"])
    centres = {
        name: np.stack([coords[labels == c].mean(axis=0) for c in range(4)])
        for name, coords in drawn.coords.items()
    }
    spread = np.linalg.norm(centres["a"][:, None] - centres["a"][None], axis=-1)[
        np.triu_indices(4, 1)
    ].min()
    assert np.linalg.norm(centres["a"] - centres["b"], axis=1).max() < 0.5 * spread
    for name in twins:
        away = np.linalg.norm(drawn.coords[name][:, None] - centres[name][None], axis=-1)
        assert np.mean(away.argmin(axis=1) == labels) > 0.98
        assert drawn.faithfulness[name].low > drawn.faithfulness[name].chance + 0.2
