"""Sequence structure: random walks, sentences with a shared centre, and pure frequencies."""

import numpy as np
import pytest

from analyses.spaces.sequence_structure import (
    cosine_decay,
    high_frequency_share,
    sentence_contrast,
)

B, L, D = 60, 24, 8


def noise(seed=0):
    return np.random.default_rng(seed).standard_normal((B, L, D))


def smooth(rho, seed=0):
    """A stationary first-order autoregression along positions, correlation rho**d at distance d."""
    steps = noise(seed)
    out = steps.copy()
    for i in range(1, L):
        out[:, i] = rho * out[:, i - 1] + np.sqrt(1 - rho**2) * steps[:, i]
    return out


FULL = np.ones((B, L), dtype=bool)
SENTENCES = np.broadcast_to(np.arange(L) // 6, (B, L))
PROBES = [
    lambda f, m: cosine_decay(f, m),
    lambda f, m: sentence_contrast(f, m, SENTENCES),
    lambda f, m: high_frequency_share(f, m),
]


def test_white_noise_is_at_chance_everywhere():
    decay = cosine_decay(noise(), FULL)
    assert abs(decay.score) < 0.03
    assert decay.low < decay.chance < decay.high
    contrast = sentence_contrast(noise(), FULL, SENTENCES)
    assert contrast.low < 0.0 < contrast.high
    share = high_frequency_share(noise(), FULL)
    assert share.score == pytest.approx(0.5, abs=0.03)
    assert share.low < share.chance < share.high


def test_an_autoregression_decays_as_it_should():
    result = cosine_decay(smooth(0.8), FULL)
    expected = 0.8 ** np.arange(1, 7)
    # The mean of a ratio of norms is a little below the correlation in 8 dimensions.
    np.testing.assert_allclose(result.detail["curve"][:6], expected, atol=0.08)
    assert result.score > result.chance + 0.4
    assert result.detail["pairs"][0] == B * (L - 1)


def test_curve_equals_pairs_counted_one_by_one():
    latents, mask = smooth(0.5), np.arange(L) < np.random.default_rng(0).integers(1, L, (B, 1))
    centred = latents - latents[mask].mean(axis=0)
    units = centred / np.linalg.norm(centred, axis=-1, keepdims=True)
    cosines = [
        units[b, i] @ units[b, i + 3] for b in range(B) for i in range(L - 3) if mask[b, i + 3]
    ]
    result = cosine_decay(latents, mask)
    assert result.detail["curve"][2] == pytest.approx(np.mean(cosines), rel=1e-9)
    assert result.detail["pairs"][2] == len(cosines)


def test_sentences_with_a_centre_of_their_own_stand_out():
    centres = np.random.default_rng(3).standard_normal((B, L // 6, D))
    latents = np.repeat(centres, 6, axis=1) + 0.5 * noise()
    result = sentence_contrast(latents, FULL, SENTENCES)
    assert result.low > 0.5
    assert abs(result.chance) < 0.1
    assert len(result.per_item["contrast"]) == B


def test_nearness_alone_is_no_sentence():
    result = sentence_contrast(smooth(0.9), FULL, SENTENCES)
    assert result.score == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize(("k", "share"), [(1, 0.0), (11, 0.0), (12, 1.0), (23, 1.0)])
def test_a_pure_cosine_lies_on_its_side_of_the_threshold(k, share):
    wave = np.cos(np.pi * k * (np.arange(L) + 0.5) / L)
    signs = np.where(np.arange(B) % 2, 1.0, -1.0)
    latents = signs[:, None, None] * wave[None, :, None] * np.ones(D)
    assert high_frequency_share(latents, FULL).score == pytest.approx(share, abs=1e-9)


def test_smoothness_lowers_the_share_below_chance():
    result = high_frequency_share(smooth(0.9), FULL)
    assert result.high < result.chance - 0.1


@pytest.mark.parametrize("probe", PROBES)
def test_padding_does_not_matter(probe):
    latents, mask = smooth(0.5), np.arange(L) < np.random.default_rng(0).integers(8, L, (B, 1))
    dirty = latents.copy()
    dirty[~mask] = np.nan
    clean = probe(latents, mask).score
    assert probe(dirty, mask).score == pytest.approx(clean, rel=1e-12)
