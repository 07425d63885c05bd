"""Samplers against the closed form for Gaussian data: measured order, law, and contracts.

For z ~ N(0, S²) the velocity at z_t is (t S² - (1 - t)) / ((1 - t)² + t² S²) * z_t and the path
from `noise` is noise * sqrt((1 - t)² + t² S²), which ends at S * noise.
"""

import math
from functools import partial

import pytest
import torch

from models.configs.flow import SamplerConfig, TimeSamplerConfig
from models.noise import normal_like
from models.samplers import SAMPLERS, CountedVelocity, renoise
from models.time_samplers import TimeSampler, sampling_times, time_grid

STD = 0.4
UNIFORM = TimeSampler(TimeSamplerConfig(name="uniform"))
SHIFTED = TimeSampler(TimeSamplerConfig(name="uniform", shift=3.0))
ORDERS = {"euler": 1, "heun": 2, "multistep": 2}


def gaussian_velocity(z_t, t):
    return (t * STD**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * STD**2) * z_t


@pytest.fixture(params=sorted(SAMPLERS))
def name(request):
    return request.param


@pytest.fixture
def noise():
    return torch.randn((3, 5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fresh(seed):
    return partial(normal_like, generator=torch.Generator().manual_seed(seed))


def run(name, noise, times, velocity=gaussian_velocity, **settings):
    return list(SAMPLERS[name](CountedVelocity(velocity), noise, times, **settings))


def test_every_sampler_has_a_known_order():
    assert set(ORDERS) == set(SAMPLERS)


@pytest.mark.parametrize("sampler", [UNIFORM, SHIFTED], ids=["uniform", "shifted"])
def test_measured_order(name, noise, sampler):
    errors = []
    for num_steps in (40, 160):
        times = time_grid("quantile", num_steps, sampler)
        sample = run(name, noise, times)[-1].z_t
        errors.append((sample - STD * noise).abs().max().item())
    order = math.log(errors[0] / errors[1], 4)
    assert abs(order - ORDERS[name]) < 0.3


def test_steps_count_time_and_evaluations_honestly(name, noise):
    times = time_grid("uniform", 6, UNIFORM)
    before = noise.clone()
    steps = run(name, noise, times)
    assert [s.step for s in steps] == [1, 2, 3, 4, 5, 6]
    assert [s.t for s in steps] == times[1:]
    expected = [2, 4, 6, 8, 10, 11] if name == "heun" else [1, 2, 3, 4, 5, 6]
    assert [s.nfe for s in steps] == expected
    assert all(s.z_t.shape == s.v.shape == s.z_hat.shape == noise.shape for s in steps)
    assert steps[-1].z_t.dtype == noise.dtype
    assert torch.equal(noise, before)
    torch.testing.assert_close(steps[0].z_hat, noise + steps[0].v)


def test_nfe_starts_at_zero_for_every_run(name, noise):
    velocity, times = CountedVelocity(gaussian_velocity), [0.0, 0.5, 1.0]
    runs = [[s.nfe for s in SAMPLERS[name](velocity, noise, times)] for _ in range(2)]
    assert runs[0] == runs[1]


def test_one_step_lands_on_the_first_estimate(name, noise):
    (only,) = run(name, noise, [0.0, 1.0])
    assert only.nfe == 1
    assert torch.equal(only.z_t, only.z_hat)


def test_straight_paths_are_exact(name, noise):
    goal = noise.flip(0)
    times = time_grid("quantile", 7, SHIFTED)
    velocity = lambda z_t, t: (goal - z_t) / (1 - t)  # noqa: E731
    torch.testing.assert_close(run(name, noise, times, velocity)[-1].z_t, goal)


@pytest.mark.parametrize(("churn", "num_steps"), [(0.8, 100), (3.0, 400)])
def test_churn_keeps_the_law_and_is_deterministic_under_a_generator(name, churn, num_steps):
    noise = torch.randn((20_000, 1, 1), generator=torch.Generator().manual_seed(0))
    times = time_grid("uniform", num_steps, UNIFORM)
    samples = [run(name, noise, times, churn=churn, fresh=fresh(s))[-1].z_t for s in (1, 1, 2)]
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])
    assert abs(samples[0].std() - STD) < 0.02
    assert (samples[0] - STD * noise).std() > 0.05


def test_renoise_keeps_signal_and_variance():
    z, noise = torch.randn((2, 50_000), generator=torch.Generator().manual_seed(0))
    earlier_state, earlier = renoise(0.4 * noise + 0.6 * z, 0.6, 0.45, fresh(1))
    assert earlier == 0.45
    assert abs((earlier_state * z).mean() - 0.45) < 0.02
    assert abs((earlier_state - 0.45 * z).std() - 0.55) < 0.01
    state, t = renoise(noise, 0.0, -0.1, fresh(1))
    assert t == 0.0
    assert state is noise


def test_an_empty_batch_gives_an_empty_sample(name):
    assert run(name, torch.zeros((0, 5, 2)), [0.0, 0.5, 1.0])[-1].z_t.shape == (0, 5, 2)


def test_restarts_keep_the_law_and_are_counted(name):
    noise = torch.randn((20_000, 1, 1), generator=torch.Generator().manual_seed(0))
    config = SamplerConfig(name=name, num_steps=100, grid="uniform", restarts=2, restart_t=0.355)
    times = sampling_times(config, UNIFORM)
    steps = run(name, noise, times, fresh=fresh(1))
    assert [s.step for s in steps] == list(range(1, 100 + 2 * 65 + 1))
    assert steps[100].t == pytest.approx(0.36), "the first point beyond the restart"
    assert steps[-1].nfe == (2 * len(steps) - 3 if name == "heun" else len(steps))
    once, thrice = steps[99].z_t, steps[-1].z_t
    assert abs(thrice.std() - STD) < 0.02
    assert torch.corrcoef(torch.stack([once.flatten(), thrice.flatten()]))[0, 1].abs() < 0.9


def test_churn_needs_fresh_noise_and_times_must_increase(name, noise):
    for times, churn in (([0.0, 1.0], 0.1), ([0.0, 1.0, 0.5, 1.0], 0.0)):
        with pytest.raises(ValueError, match="churn > 0 and restarts need fresh noise"):
            run(name, noise, times, churn=churn)
    for times in ([0.0], [0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.2, 1.0]):
        with pytest.raises(ValueError, match="times must have at least 2 points, increase"):
            run(name, noise, times)
