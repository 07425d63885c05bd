"""Time distributions: quantile, density and draws agree; direction and shift; grids."""

import math
from dataclasses import replace

import pytest
import torch

from models.configs.flow import SamplerConfig, TimeSamplerConfig
from models.time_samplers import TimeSampler, sampling_times, time_grid

CONFIGS = [
    TimeSamplerConfig(),
    TimeSamplerConfig(loc=-0.5, scale=0.7, shift=3.0),
    TimeSamplerConfig(name="uniform"),
    TimeSamplerConfig(name="uniform", shift=2.0),
    TimeSamplerConfig(name="mode"),
    TimeSamplerConfig(name="mode", scale=-0.6, shift=0.5),
]


@pytest.fixture(params=CONFIGS, ids=str)
def sampler(request):
    return TimeSampler(request.param)


def test_quantile_is_increasing_with_exact_ends(sampler):
    times = sampler.quantile(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert times[0] == 0
    assert times[-1] == 1
    assert (times.diff() > 0).all()


def test_draws_follow_the_quantiles(sampler):
    draws = sampler.sample_t(20_000, torch.Generator().manual_seed(0))
    assert draws.min() >= 0
    assert draws.max() <= 1
    shares = torch.tensor([0.1, 0.5, 0.9])
    for share, t in zip(shares, sampler.quantile(shares), strict=True):
        assert abs((draws < t).float().mean() - share) < 0.02


def test_density_is_the_slope_of_the_distribution(sampler):
    shares = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    t, step = sampler.quantile(shares), 1e-6
    slope = (sampler.quantile(shares + step) - sampler.quantile(shares - step)) / (2 * step)
    torch.testing.assert_close(sampler.density(t), 1.0 / slope, rtol=1e-4, atol=1e-4)


def test_draws_are_deterministic_under_a_generator(sampler):
    first, second = (sampler.sample_t(9, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert sampler.sample_t(0, torch.Generator()).shape == (0,)


def test_positive_loc_and_large_shift_are_noisier():
    half = torch.tensor(0.5)
    median = TimeSampler(TimeSamplerConfig(loc=1.0)).quantile(half)
    assert abs(median - 1 / (1 + math.e)) < 1e-6
    assert TimeSampler(TimeSamplerConfig(name="uniform", shift=3.0)).quantile(half) == 0.25


def test_shift_is_stable_diffusion_3_seen_from_the_other_end():
    shift, t = 3.0, torch.linspace(0, 1, 11)
    noise_time = shift * (1 - t) / (1 + (shift - 1) * (1 - t))
    ours = TimeSampler(TimeSamplerConfig(name="uniform", shift=shift)).quantile(t)
    torch.testing.assert_close(ours, 1 - noise_time)


def test_positive_mode_scale_favours_the_middle():
    draws = TimeSampler(TimeSamplerConfig(name="mode", scale=1.29)).sample_t(
        5000, torch.Generator().manual_seed(0)
    )
    assert ((draws > 0.25) & (draws < 0.75)).float().mean() > 0.6


@pytest.mark.parametrize("name", ["uniform", "quantile"])
@pytest.mark.parametrize("num_steps", [1, 2, 50])
def test_grids_have_exact_ends(sampler, name, num_steps):
    times = time_grid(name, num_steps, sampler)
    assert len(times) == num_steps + 1
    assert (times[0], times[-1]) == (0.0, 1.0)


def test_restarts_go_through_the_later_part_again(sampler):
    plain = SamplerConfig(num_steps=20)
    once = sampling_times(plain, sampler)
    assert once == time_grid("quantile", 20, sampler)
    later = [t for t in once if t > 0.3]
    thrice = sampling_times(replace(plain, restarts=2), sampler)
    assert thrice == [*once, 0.3, *later, 0.3, *later]
