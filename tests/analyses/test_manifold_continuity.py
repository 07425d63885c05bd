"""Text iFID: slerp identities, the Frechet closed form, and spaces that are smooth or torn."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from analyses.spaces.manifold_continuity import ManifoldContinuityConfig, manifold_continuity, slerp
from analyses.statistics.half_samples import HalfSampleConfig
from analyses.texts.frechet import frechet_distance

CONFIG = ManifoldContinuityConfig(half_samples=HalfSampleConfig(num_resamples=6))


def ring(n=120, length=4, seed=0):
    """Texts are angles on a circle; each of `length` positions repeats the angle's point."""
    angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, n))
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.repeat(points[:, None], length, axis=1), [f"{a:.6f}" for a in angles]


def read_angle(z):
    """A decoder whose manifold is the circle: any point decodes to its angle."""
    mean = np.asarray(z, dtype=np.float64).mean(axis=1)
    return [f"{a:.6f}" for a in np.arctan2(mean[:, 1], mean[:, 0]) % (2 * np.pi)]


def embed_angle(texts):
    angles = np.array([float(text) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def test_slerp_ends_and_halves_and_keeps_the_norm():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5, 3, 4))
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    np.testing.assert_allclose(slerp(a, b, 0.0), a, atol=1e-12)
    np.testing.assert_allclose(slerp(a, b, 1.0), b, atol=1e-12)
    middle = slerp(a, b, 0.5)
    np.testing.assert_allclose(np.linalg.norm(middle, axis=-1), 1.0, atol=1e-9)
    np.testing.assert_allclose((middle * a).sum(-1), (middle * b).sum(-1), atol=1e-9)


def test_slerp_of_parallel_opposite_and_zero_vectors_is_finite_and_linear():
    a = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    b = np.array([[3.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b)


def test_frechet_equals_the_textbook_formula_and_is_zero_on_itself():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 4)), rng.standard_normal((150, 4)) * [1, 2, 3, 4] + 1.0
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = np.square(x.mean(0) - y.mean(0)).sum()
    expected += np.trace(s1 + s2 - 2 * np.real(sqrtm(s1 @ s2)))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(x, x + 3.0) == pytest.approx(4 * 9.0, rel=1e-9)


def test_frechet_of_fewer_rows_than_columns_is_finite():
    rng = np.random.default_rng(0)
    assert 0.0 < frechet_distance(*rng.standard_normal((2, 5, 40))) < 1e3


def test_a_smooth_space_decodes_to_text_between_neighbours():
    latents, texts = ring()
    result = manifold_continuity(latents, texts, read_angle, embed_angle, CONFIG)
    assert result.score < 0.01
    assert result.detail["curve"]["0"]["frechet"] == pytest.approx(0.0, abs=1e-6)
    assert result.detail["curve"]["0"]["unchanged"] == 1.0
    assert result.detail["curve"]["0.5"]["unchanged"] == 0.0
    assert result.low <= result.score <= result.high


def test_a_torn_space_scores_worse_and_the_sweep_shows_where():
    latents, texts = ring()
    known = latents.mean(axis=1)

    def warehouse(z):
        """Reads exact addresses and nothing else: off an address, one constant text."""
        mean = np.asarray(z, dtype=np.float64).mean(axis=1)
        gaps = np.linalg.norm(mean[:, None] - known[None], axis=-1)
        return [
            texts[j] if gap < 1e-3 else "0.000000"
            for j, gap in zip(gaps.argmin(axis=1), gaps.min(axis=1), strict=True)
        ]

    torn = manifold_continuity(latents, texts, warehouse, embed_angle, CONFIG)
    smooth = manifold_continuity(latents, texts, read_angle, embed_angle, CONFIG)
    assert torn.detail["curve"]["0"]["frechet"] == pytest.approx(0.0, abs=1e-9)
    assert torn.low > smooth.high
    assert torn.score > 0.3


def test_random_partners_are_the_chance_level():
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((80, 3, 4))
    texts = [" ".join(f"{v:.4f}" for v in z.ravel()) for z in latents]

    def decode(z):
        return [" ".join(f"{v:.4f}" for v in row.ravel()) for row in z]

    def embed(batch):
        return np.array([[float(v) for v in text.split()] for text in batch])

    clustered = latents + 6.0 * np.repeat(np.eye(4)[rng.integers(4, size=80)][:, None], 3, axis=1)
    texts = decode(clustered)
    result = manifold_continuity(clustered, texts, decode, embed, CONFIG)
    assert result.score < 0.5 * result.chance


def test_partners_are_near_never_the_text_itself_and_scorers_join_the_curve():
    latents, texts = ring()
    seen = []

    def length(batch):
        seen.append(len(batch))
        return np.array([np.nan, *[8.0] * (len(batch) - 1)])

    config = ManifoldContinuityConfig(
        sweep=(0.0,), alpha=0.5, k=3, half_samples=CONFIG.half_samples, batch_size=50
    )
    result = manifold_continuity(
        latents, texts, read_angle, embed_angle, config, {"length": length}
    )
    assert seen == [120, 120]
    assert result.detail["curve"]["0.5"]["length"] == 8.0
    gap = np.abs(result.per_item["partner"] - np.arange(120))
    assert gap.min() > 0
    assert np.minimum(gap, 120 - gap).max() <= 3


def test_rotating_the_space_and_its_decoder_changes_nothing():
    latents, texts = ring()
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    expected = manifold_continuity(latents, texts, read_angle, embed_angle, CONFIG).score
    turned = manifold_continuity(
        latents @ turn, texts, lambda z: read_angle(z @ turn.T), embed_angle, CONFIG
    )
    assert turned.score == pytest.approx(expected, abs=1e-6)
