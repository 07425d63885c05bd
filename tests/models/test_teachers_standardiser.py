"""Standardisation against NumPy, anisotropy on known clouds, and the permuted control."""

import numpy as np
import pytest
import torch

from models.configs.teacher import TeacherConfig
from models.teachers import RunningMoments, Standardiser, anisotropy, derangement


def cloud(n: int = 500, width: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    scale = np.geomspace(0.01, 100, width)
    return (rng.normal(size=(n, width)) * scale + 50 * scale).astype(np.float32)


def moments_of(states: np.ndarray, pieces: int = 7) -> RunningMoments:
    moments = RunningMoments(states.shape[1])
    for piece in np.array_split(states, pieces):
        moments.update(torch.from_numpy(piece))
    return moments


def test_running_moments_equal_numpy_over_uneven_batches_with_a_large_mean():
    states = cloud() + np.float32(1000)
    moments = moments_of(states)
    moments.update(torch.zeros(0, states.shape[1]))
    np.testing.assert_allclose(moments.mean, states.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.std, states.std(0, dtype=np.float64), rtol=1e-9)
    assert moments.count == len(states)


def test_dimension_mode_has_mean_zero_and_std_one_and_masks():
    states = cloud()
    standardiser = Standardiser.from_moments("dimension", moments_of(states))
    valid = torch.ones(len(states), dtype=torch.bool)
    found = standardiser.apply(torch.from_numpy(states), valid)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(0, unbiased=False), 1, rtol=1e-4)
    valid[3] = False
    assert (standardiser.apply(torch.from_numpy(states), valid)[3] == 0).all()


def test_constant_dimension_stays_finite():
    states = cloud()
    states[:, 2] = 7.0
    standardiser = Standardiser.from_moments("dimension", moments_of(states))
    found = standardiser.apply(torch.from_numpy(states), torch.ones(len(states), dtype=torch.bool))
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-5)


def test_sequence_mode_is_the_z_score_of_each_text_over_its_valid_tokens():
    states = torch.from_numpy(cloud(12)).view(2, 6, 8)
    valid = torch.tensor([[True] * 6, [True, True, True, False, False, False]])
    states[1, 3:] = float("nan")  # what is masked must not matter
    found = Standardiser.from_moments("sequence", moments_of(cloud())).apply(states, valid)
    expected = states[1, :3].double()
    expected = (expected - expected.mean(0)) / expected.std(0, unbiased=False)
    torch.testing.assert_close(found[1, :3].double(), expected, atol=1e-3, rtol=1e-3)
    assert (found[1, 3:] == 0).all()


def test_none_mode_only_masks():
    states = torch.from_numpy(cloud(4))
    valid = torch.tensor([True, True, False, True])
    found = Standardiser.from_moments("none", moments_of(cloud())).apply(states, valid)
    assert torch.equal(found[valid], states[valid])
    assert (found[2] == 0).all()


@pytest.mark.parametrize("mode", ["dimension", "sequence", "none"])
def test_standardiser_survives_saving(tmp_path, mode):
    standardiser = Standardiser.from_moments(mode, moments_of(cloud()))
    standardiser.save(tmp_path / "standardiser.safetensors")
    loaded = Standardiser.load(tmp_path / "standardiser.safetensors")
    assert loaded.mode == mode
    assert torch.equal(loaded.mean, standardiser.mean)
    assert torch.equal(loaded.std, standardiser.std)


def test_standardiser_refuses_no_states_and_an_unknown_mode():
    with pytest.raises(ValueError, match="none is valid"):
        Standardiser.from_moments("dimension", RunningMoments(3))
    with pytest.raises(ValueError, match="dimension, sequence, none"):
        Standardiser("whiten", torch.zeros(3), torch.ones(3))
    assert TeacherConfig().standardise == "dimension"


def test_anisotropy_of_an_isotropic_cloud():
    report = anisotropy(torch.randn(4000, 16, generator=torch.Generator().manual_seed(0)))
    assert abs(report.mean_cosine) < 0.01
    assert report.top4_energy == pytest.approx(4 / 16, abs=0.02)
    assert report.effective_rank == pytest.approx(16, rel=0.02)
    assert report.num_states == 4000


def test_anisotropy_of_one_common_direction_vanishes_with_centring():
    states = torch.randn(2000, 16, generator=torch.Generator().manual_seed(0))
    states[:, 3] += 30
    report = anisotropy(states)
    assert report.mean_cosine > 0.95
    assert abs(report.mean_cosine_centred) < 0.02
    assert report.top1_energy > 0.95


def test_effective_rank_counts_dimensions_of_equal_variance():
    states = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    states[:, 5:] = 2.0
    assert anisotropy(states).effective_rank == pytest.approx(5, rel=0.02)
    assert anisotropy(torch.ones(10, 4)).effective_rank == 0.0


def test_anisotropy_needs_two_states():
    with pytest.raises(ValueError, match="at least 2"):
        anisotropy(torch.ones(1, 4))


@pytest.mark.parametrize("n", [2, 3, 101])
def test_derangement_is_a_permutation_that_moves_everyone(n):
    partner = derangement(n, seed=3)
    assert sorted(partner.tolist()) == list(range(n))
    assert (partner != np.arange(n)).all()
    assert np.array_equal(partner, derangement(n, seed=3))


def test_derangement_depends_on_the_seed_and_needs_two_texts():
    assert not np.array_equal(derangement(50, 0), derangement(50, 1))
    with pytest.raises(ValueError, match="at least 2"):
        derangement(1, 0)
