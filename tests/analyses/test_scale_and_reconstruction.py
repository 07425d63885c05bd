"""Known answers for the gate and for the noise that confounds it."""

import json

import numpy as np
import pytest

from analyses.spaces.reconstruction import reconstruction
from analyses.spaces.scale import ScaleConfig, scale
from analyses.statistics.intervals import BootstrapConfig

QUICK = BootstrapConfig(num_resamples=200)


def test_standard_posterior_has_no_kl_and_log_snr_follows_its_formula():
    rng = np.random.default_rng(0)
    mu = 3.0 * rng.normal(size=(20_000, 2)) + 10.0
    result = scale(mu, logvar=np.full(mu.shape, np.log(0.5)))
    assert result.score == pytest.approx(np.log(9 / 0.5), abs=0.03)
    assert result.low < np.log(18) < result.high
    assert result.detail["noise_fraction"] == pytest.approx(0.5 / 9.5, rel=0.03)
    zero = scale(np.zeros((10, 2)), logvar=np.zeros((10, 2)))
    assert zero.detail["kl"].mean == 0.0


def test_kl_of_one_known_gaussian():
    mu, logvar = np.array([[1.0, 2.0]] * 5), np.array([[0.0, np.log(4.0)]] * 5)
    result = scale(mu, logvar=logvar)
    expected = 0.5 * (1 + 4) + 0.5 * (4 - 1 - np.log(4))
    assert result.detail["kl"].mean == pytest.approx(expected)
    assert sum(result.detail["kl_by_channel"]) == pytest.approx(expected)


def test_rank_channels_and_condition_number():
    rng = np.random.default_rng(0)
    mu = rng.normal(size=(50_000, 4)) * np.array([2.0, 1.0, 1.0, 0.01])
    quick = ScaleConfig(bootstrap=QUICK)
    detail = scale(mu, None, quick, logvar=np.zeros(mu.shape)).detail
    variances = np.array([4.0, 1.0, 1.0, 1e-4])
    assert detail["active_channels"] == 3
    expected_rank = variances.sum() ** 2 / (variances**2).sum()
    assert detail["effective_rank"] == pytest.approx(expected_rank, rel=0.02)
    assert detail["condition_number"] == pytest.approx(4e4, rel=0.05)
    strict = scale(
        mu, None, ScaleConfig(active_variance=2.0, bootstrap=QUICK), logvar=np.zeros(mu.shape)
    )
    assert strict.detail["active_channels"] == 1


def test_scale_resamples_texts_whole():
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(40), 50)
    mu = rng.normal(size=(40, 2))[texts]
    by_row, by_text = (scale(mu, labels, logvar=np.zeros(mu.shape)) for labels in (None, texts))
    assert by_text.high - by_text.low > 3 * (by_row.high - by_row.low)


def test_scale_is_json_safe_when_a_channel_is_dead():
    mu = np.random.default_rng(0).normal(size=(50, 3))
    mu[:, 1] = 0.0
    body = scale(mu, logvar=np.zeros(mu.shape)).to_json()
    assert body["detail"]["active_channels"] == 2
    json.dumps(body, allow_nan=False)


LABELS = np.array([[1, 2, 3, 0], [1, 1, 0, 0], [5, 0, 0, 0]])
MASK = LABELS > 0


def test_reconstruction_known_answers():
    read = LABELS.copy()
    read[0, 1] = 9
    read[:, 3] = 7  # beyond the mask: must not count
    result = reconstruction(read, LABELS, mask=MASK, sampled=LABELS)
    assert result.score == pytest.approx(5 / 6)
    assert result.chance == pytest.approx(3 / 6)
    assert result.n == 6
    assert result.detail["exact_match"]["mu"].mean == pytest.approx(2 / 3)
    perfect = result.detail["token_accuracy"]["z"]
    # A ratio of sums: texts of unequal length cannot lift a perfect score beyond 1.
    assert (perfect.mean, perfect.low, perfect.high) == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(result.per_item["token_accuracy_mu"], [2 / 3, 1, 1])


def test_reconstruction_pools_nats_over_tokens():
    nll = np.where(MASK, 0.5, np.nan)
    nll[2, 0] = 3.5
    result = reconstruction(LABELS, LABELS, mask=MASK, nll=nll)
    assert result.detail["nats_per_token"]["mu"].mean == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"nats from mu are not finite in 1 text\(s\): \[2\]"):
        reconstruction(LABELS, LABELS, mask=MASK, nll=np.where(nll > 3, np.inf, nll))


def test_reconstruction_leaves_empty_texts_out():
    some = MASK.copy()
    some[1] = False
    result = reconstruction(LABELS, LABELS, mask=some)
    assert result.detail["num_texts"] == 2
    assert np.isnan(result.per_item["token_accuracy_mu"][1])
