"""Decoder basin against a lattice decoder, whose flip rate and r50 have a closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from analyses.paths.decoder_readings import read_latents
from analyses.spaces.decoder_basin import (
    DecoderBasinConfig,
    decoder_basin,
    decoder_margin,
    half_flip_radius,
)

SPAN = 7
FINE = tuple(np.arange(0.02, 1.0, 0.02))


def lattice(dimension, spacing=1.0, texts=200, length=10, seed=0):
    """Latents on the sites of a cubic lattice, and the nearest-site decoder of the whole lattice.

    The token is the site; the lattice is periodic, so no site has an outer side.
    """
    rng = np.random.default_rng(seed)
    sites = rng.integers(SPAN, size=(texts, length, dimension))
    powers = SPAN ** np.arange(dimension)

    def decode(z):
        site = np.rint(z.astype(np.float64) / spacing).astype(int) % SPAN
        return np.eye(SPAN**dimension)[(site * powers).sum(axis=-1)]

    return (spacing * sites).astype(np.float32), decode


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_isotropic_r50_has_its_closed_form(dimension):
    latents, decode = lattice(dimension)
    result = decoder_basin(latents, decode, config=DecoderBasinConfig(radii=FINE))
    std = latents.reshape(-1, dimension).std(axis=0).mean()
    # Stay probability (2 Phi(.5 / r) - 1)^D = 1/2.
    expected = 0.5 / norm.ppf(0.5 + 0.5 ** (1 + 1 / dimension)) / std
    assert result.score == pytest.approx(expected, rel=0.04)
    assert result.low < expected < result.high


def test_flip_rate_curve_has_its_closed_form():
    latents, decode = lattice(1, texts=400)
    radii = (0.1, 0.2, 0.3)
    result = decoder_basin(latents, decode, config=DecoderBasinConfig(radii=radii))
    noise = np.array(radii) * latents.std()
    np.testing.assert_allclose(result.detail["flip_rate"], 2 * norm.cdf(-0.5 / noise), atol=0.02)


def test_towards_the_boundary_everything_flips_at_half_the_spacing():
    latents, decode = lattice(2)
    config = DecoderBasinConfig(radii=FINE, direction="boundary")
    result = decoder_basin(latents, decode, config=config)
    std = latents.reshape(-1, 2).std(axis=0).mean()
    expected = 0.5 / std / np.sqrt(2)
    assert result.score == pytest.approx(expected, abs=0.02)
    rates = result.detail["flip_rate"]
    before, after = np.array(FINE) < 0.95 * expected, np.array(FINE) > 1.05 * expected
    assert rates[before].max() == 0.0
    assert rates[after & (np.array(FINE) < 2.8 * expected)].min() == 1.0


def test_scaling_latents_and_decoder_together_changes_nothing():
    small, decode_small = lattice(2)
    large, decode_large = lattice(2, spacing=50.0)
    config = DecoderBasinConfig(radii=FINE)
    a = decoder_basin(small, decode_small, config=config)
    b = decoder_basin(large, decode_large, config=config)
    assert a.score == pytest.approx(b.score, rel=1e-6)


def test_padding_and_batches_do_not_matter():
    latents, decode = lattice(2, texts=30)
    mask = np.arange(10) < np.random.default_rng(0).integers(1, 10, (30, 1))
    scores = []
    for batch_size in (1, 7, 100):
        config = DecoderBasinConfig(radii=FINE, batch_size=batch_size)
        scores.append(decoder_basin(latents, decode, mask, config).score)
    assert scores[0] == scores[1] == scores[2]
    # Padding that flips at every radius must not be counted.
    padded = np.where(mask[..., None], latents, latents + 0.499)
    for direction in ("isotropic", "boundary"):
        config = DecoderBasinConfig(radii=FINE, direction=direction)
        plain, dirty = (decoder_basin(z, decode, mask, config) for z in (latents, padded))
        assert plain.to_json() == dirty.to_json()
    assert decoder_basin(latents, decode, mask).n == mask.sum()


def test_a_decoder_that_never_flips_is_undefined_and_keeps_its_curve():
    latents, _ = lattice(1)
    result = decoder_basin(latents, lambda z: np.tile([1.0, 0.0], (*z.shape[:2], 1)))
    assert result.score is None
    assert "0.000 of tokens" in result.reason
    assert result.detail["area"] == 0.0
    config = DecoderBasinConfig(direction="boundary")
    alike = decoder_basin(latents, lambda z: np.tile([1.0, 0.0], (*z.shape[:2], 1)), config=config)
    assert "alike" in alike.reason


def test_half_flip_radius_interpolates_and_takes_the_first_crossing():
    radii = np.array([1.0, 2.0, 3.0])
    rates = np.array([[0.25, 0.75, 0.9], [0.8, 0.3, 0.9], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(half_flip_radius(radii, rates), [1.5, 0.625, np.nan, 1.0])


def test_margin_and_entropy_equal_their_definitions():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((6, 4, 9)) * 3
    logits[0, 0, 1:] = -np.inf
    logits[0, 0, 1] = 0.0
    readings = read_latents(np.zeros((6, 4, 2)), lambda z: logits[: len(z)], 6)
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    expected = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=-1)
    np.testing.assert_allclose(readings.entropy, expected, atol=1e-12)
    ordered = np.sort(logits, axis=-1)
    np.testing.assert_allclose(readings.margin, ordered[..., -1] - ordered[..., -2])


def test_margin_falls_with_noise_towards_chance():
    latents, _ = lattice(2)

    def decode(z):
        sites = np.stack(np.meshgrid(np.arange(SPAN), np.arange(SPAN)), axis=-1).reshape(-1, 2)
        return -np.square(z[:, :, None, :] - sites).sum(axis=-1)

    rng = np.random.default_rng(0)
    clean = decoder_margin(latents, decode)
    noised = decoder_margin(latents + 0.3 * rng.standard_normal(latents.shape), decode)
    assert clean.score == pytest.approx(1.0)
    assert clean.score > noised.high
    assert noised.low > noised.chance
    assert len(clean.per_item["margin"]) == latents.shape[0] * latents.shape[1]
