"""Guidance: identities at 0 and 1, its formula, its cost, its interval; self-conditioning state."""

import pytest
import torch
from test_dit import build

from models import guidance
from models.configs.flow import GuidanceConfig
from models.guidance import ContextVelocity, Guided
from models.samplers import SAMPLERS


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn((3, 10, 4), generator=generator)
    ctx = torch.randn((3, 10, 4), generator=generator)
    return noise, ctx, torch.arange(10) < torch.tensor([[4], [5], [6]])


def fields(case, prediction="z", dit=None, internal_scale=1.0, **strength):
    _, ctx, ctx_mask = case
    velocity = ContextVelocity(dit or build(), ctx, ctx_mask, prediction, internal_scale)
    return velocity, Guided(velocity, GuidanceConfig(**strength))


def test_scale_one_is_bit_equal_to_no_guidance_and_costs_one(case):
    plain, _ = fields(case)
    _, guided = fields(case, guidance_scale=1.0)
    assert torch.equal(plain(case[0], 0.3), guided(case[0], 0.3))
    assert guided.nfe == 1


def test_scale_zero_is_unconditional_and_costs_one(case):
    noise, ctx, ctx_mask = case
    _, guided = fields(case, guidance_scale=0.0)
    other, other_guided = fields((noise, ctx + 1.0, ctx_mask), guidance_scale=0.0)
    target = ~ctx_mask
    v = guided(noise, 0.3)
    assert torch.equal(v[target], other_guided(noise, 0.3)[target])
    assert guided.nfe == 1
    other.reset()
    assert not torch.equal(v[target], other(noise, 0.3)[target])


@pytest.mark.parametrize("prediction", ["z", "v"])
@pytest.mark.parametrize("drop_mode", ["mask", "zeros"])
def test_both_halves_in_one_forward_match_two_forwards(case, prediction, drop_mode):
    dit = build(drop_mode=drop_mode)
    velocity, guided = fields(case, prediction, dit, guidance_scale=2.5)
    v = guided(case[0], 0.3)
    assert guided.nfe == 2
    velocity.reset()
    v_cond = velocity.single(case[0], 0.3, drop=False)
    velocity.reset()
    v_uncond = velocity.single(case[0], 0.3, drop=True)
    expected = v_uncond + 2.5 * (v_cond - v_uncond)
    torch.testing.assert_close(v, expected, atol=1e-5, rtol=1e-5)
    assert (v_cond - v_uncond).abs().max() > 1e-3


def test_outside_the_interval_the_scale_is_one(case):
    _, guided = fields(case, guidance_scale=3.0, t_low=0.2, t_high=0.6)
    for t, cost in ((0.1, 1), (0.2, 2), (0.6, 2), (0.7, 1)):
        before = guided.nfe
        guided(case[0], t)
        assert guided.nfe - before == cost
        assert guided.scale_at(t) == (3.0 if cost == 2 else 1.0)


def test_huge_scales_stay_finite(case):
    _, guided = fields(case, guidance_scale=1e4)
    *_, last = SAMPLERS["heun"](guided, case[0], [0.0, 0.3, 0.7, 1.0])
    assert torch.isfinite(last.z_t).all()


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0])
def test_samples_hold_the_context_and_repeat(case, name, scale):
    noise, ctx, ctx_mask = case
    velocity, guided = fields(case, guidance_scale=scale)
    times = [0.0, 0.2, 0.5, 1.0]
    first = list(SAMPLERS[name](guided, noise, times))
    velocity.reset()
    second = list(SAMPLERS[name](guided, noise, times))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.z_t, b.z_t)
        assert a.nfe == b.nfe
    torch.testing.assert_close(first[-1].z_t[ctx_mask], ctx[ctx_mask])
    assert torch.isfinite(first[-1].z_t).all()


def test_self_conditioning_carries_the_last_estimate_until_reset(case):
    velocity, _ = fields(case)
    first, second = velocity(case[0], 0.3), velocity(case[0], 0.3)
    assert not torch.equal(first, second)
    velocity.reset()
    assert torch.equal(velocity(case[0], 0.3), first)
    blind, _ = fields(case, dit=build(self_conditioning=False))
    assert torch.equal(blind(case[0], 0.3), blind(case[0], 0.3))


def test_each_half_is_given_its_own_estimate(case):
    noise, ctx, ctx_mask = case
    dit, target = build(), ~ctx_mask
    velocity = ContextVelocity(dit, ctx, ctx_mask, "z")
    velocity.both(noise, 0.3)
    _, v_uncond = velocity.both(noise, 0.4)
    alone = ContextVelocity(dit, ctx, ctx_mask, "z")
    alone.single(noise, 0.3, drop=True)
    expected = alone.single(noise, 0.4, drop=True)
    torch.testing.assert_close(v_uncond[target], expected[target], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prediction", ["z", "v"])
def test_internal_guidance_leads_away_from_the_middle_and_costs_nothing(case, prediction):
    noise, ctx, ctx_mask = case
    dit, target = build(internal_depth=0.5), ~ctx_mask
    at = {scale: fields(case, prediction, dit, scale)[0] for scale in (0.0, 1.0, 2.5)}
    v = {scale: velocity(noise, 0.3)[target] for scale, velocity in at.items()}
    assert [velocity.nfe for velocity in at.values()] == [1, 1, 1]
    torch.testing.assert_close(v[2.5], v[0.0] + 2.5 * (v[1.0] - v[0.0]), atol=1e-4, rtol=1e-4)
    found = dit(noise, torch.full((3,), 0.3), ctx, ctx_mask, return_hidden=True)
    inner = (found.internal - noise) / 0.7 if prediction == "z" else found.internal
    torch.testing.assert_close(v[0.0], inner[target], atol=1e-4, rtol=1e-4)
    assert (v[0.0] - v[1.0]).abs().max() > 1e-3


def test_internal_guidance_acts_in_both_halves(case):
    dit = build(internal_depth=0.5)
    _, guided = fields(case, "z", dit, 2.0, guidance_scale=3.0)
    v = guided(case[0], 0.3)
    assert guided.nfe == 2
    v_cond, v_uncond = (
        fields(case, "z", dit, 2.0)[0].single(case[0], 0.3, drop=drop) for drop in (False, True)
    )
    torch.testing.assert_close(v, v_uncond + 3.0 * (v_cond - v_uncond), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("internal_scale", [1.0, 2.0])
def test_halves_that_outgrow_the_cache_are_forwarded_one_after_another(
    case, internal_scale, monkeypatch
):
    noise, dit = case[0], build(internal_depth=0.5)
    rows: list[int] = []
    dit.x_embedder.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    found = {}
    for limit in (0, 2**30):
        monkeypatch.setattr(guidance, "LARGEST_JOINT", limit)
        velocity, _ = fields(case, "z", dit, internal_scale)
        found[limit] = [*velocity.both(noise, 0.3), *velocity.both(noise, 0.4)]
        assert velocity.nfe == 4
    batch = len(noise)
    assert rows == [batch] * 4 + [2 * batch] * 2
    for one, joint in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, joint, atol=1e-5, rtol=1e-5)
