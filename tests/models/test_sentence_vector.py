"""A vector of the whole text, denoised beside the latents (REG): its loss, row and guidance."""

import math

import pytest
import torch
from test_dit import ALIGNED, SMALL, build
from test_flow import Oracle, batch, teacher  # noqa: F401
from test_mmdit import build_pair

from models.configs.flow import FlowConfig, GuidanceConfig, TextDiTConfig
from models.dit import TextDiT, shift_tokens
from models.flow import flow_loss, with_vector
from models.guidance import ContextVelocity, Guided
from models.samplers import SAMPLERS
from models.time_samplers import TimeSampler

ONE = {"sentence_vector": True}
WEIGHT = 0.03


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def vector():
    """(6, 4), the third text without one."""
    found = torch.randn((6, 4), generator=seeded(5))
    found[2] = math.nan
    return found


@pytest.fixture
def inputs():
    """z_t, t, context and its mask, with a row behind the window of 10."""
    generator = seeded(1)
    z_t = torch.randn((3, 11, 4), generator=generator)
    ctx = torch.randn((3, 10, 4), generator=generator)
    ctx_mask = torch.arange(10) < torch.tensor([[4], [5], [6]])
    return z_t, torch.tensor([0.1, 0.5, 0.9]), *with_vector(ctx, ctx_mask)


@pytest.mark.parametrize("more", [{}, ALIGNED, {"internal_depth": 0.5}])
@pytest.mark.parametrize("prediction", ["z", "v"])
def test_its_loss_is_its_formula(prediction, more, batch, vector, teacher):  # noqa: F811
    """Every number is drawn here again, the vectors' noise after all others."""
    dit = build(token_shift=True, **ONE, **more)
    config = FlowConfig(
        prediction=prediction, self_conditioning_prob=0.0, reg_weight=WEIGHT,
        repa_weight=0.5 if more == ALIGNED else 0.0,
        internal_weight=0.5 if "internal_depth" in more else 0.0,
    )  # fmt: skip
    states = teacher if more == ALIGNED else (None, None)
    found = flow_loss(dit, *batch, config, seeded(), *states, vector)

    z, ctx, ctx_mask = batch
    draw = seeded()
    t = TimeSampler(config.time).sample_t(6, draw)
    noise = torch.randn(z.shape, generator=draw)
    drop = torch.rand(6, generator=draw) < config.cond_drop_prob
    torch.rand((), generator=draw)
    noise = torch.cat((noise, torch.randn((6, 1, 4), generator=draw)), dim=1)
    known = torch.tensor([True, True, False, True, True, True])
    clean = torch.cat((z, torch.where(known[:, None], vector, 0)[:, None]), dim=1)
    z_t = torch.lerp(noise, clean, t[:, None, None])
    seen = dit(z_t, t, *with_vector(ctx, ctx_mask), drop, return_hidden=True)

    def parts(out):
        wanted, given = clean - noise, out
        if prediction == "z":
            left = (1 - t).clamp_min(config.t_clamp)[:, None, None]
            wanted, given = (clean - z_t) / left, (out - z_t) / left
        squared = (given - wanted).square().mean(-1)
        of_text = (squared[:, :-1] * ~ctx_mask).sum(1) / (~ctx_mask).sum(1)
        return of_text.mean(), squared[known, -1].mean()

    of_text, of_vector = parts(seen.out)
    expected = of_text + WEIGHT * of_vector
    torch.testing.assert_close(found.velocity_loss, of_text)
    torch.testing.assert_close(found.vector_loss, of_vector)
    if more == ALIGNED:
        expected = expected - 0.5 * found.repa_cosine
    if seen.internal is not None:
        text_there, vector_there = parts(seen.internal)
        torch.testing.assert_close(found.internal_loss, text_there)
        expected = expected + 0.5 * (text_there + WEIGHT * vector_there)
    torch.testing.assert_close(found.loss, expected)
    found.loss.backward()
    grads = [p.grad for p in dit.parameters()]
    assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in grads)


@pytest.mark.parametrize("seed", range(4))
def test_twins_with_and_without_it_see_the_same_draws(seed, batch, vector):  # noqa: F811
    plain, other = Oracle(batch[0]), Oracle(torch.zeros((6, 11, 4)))
    flow_loss(plain, *batch, FlowConfig(), seeded(seed))
    flow_loss(other, *batch, FlowConfig(reg_weight=WEIGHT), seeded(seed), vector=vector)
    assert len(plain.calls) == len(other.calls), "whether to self-condition"
    for (z_t, t, drop, _), (rows, t_too, drop_too, _) in zip(plain.calls, other.calls, strict=True):
        assert torch.equal(rows[:, :-1], z_t)
        assert torch.equal(t, t_too)
        assert torch.equal(drop, drop_too)


def test_texts_without_one_have_no_say(batch):  # noqa: F811
    dit = build(**ONE)
    losses = flow_loss(
        dit, *batch, FlowConfig(reg_weight=1.0), seeded(), vector=torch.full((6, 4), math.nan)
    )
    assert losses.vector_loss == 0
    assert torch.equal(losses.loss.detach(), losses.velocity_loss)


@pytest.mark.parametrize("more", [{}, {"internal_depth": 0.5}])
def test_its_maps_change_no_other_weight_and_an_untrained_one_returns_zero(inputs, more):
    plain, own = (TextDiT(TextDiTConfig(**{**SMALL, **more, **one}), seeded()) for one in ({}, ONE))
    shared, weights = plain.state_dict(), own.state_dict()
    assert all(torch.equal(weights[name], shared[name]) for name in shared)
    assert all("vector" in name for name in weights.keys() - shared.keys())
    found = own(*inputs, return_hidden=True)
    assert (found.out == 0).all()
    assert found.internal is None or (found.internal == 0).all()


def test_its_row_has_maps_of_its_own_no_place_and_no_neighbours(inputs):
    dit = build(token_shift=True, **ONE)
    before = dit(*inputs)
    with torch.no_grad():
        dit.vector_head.bias.add_(1.0)
    changed = (dit(*inputs) - before).abs().amax(dim=(0, 2))
    assert changed.nonzero().flatten().tolist() == [10]
    cos, sin = dit._rope(11, torch.float32)
    assert (cos[10] == 1).all()
    assert (sin[10] == 0).all()
    x = torch.randn((2, 11, 8), generator=seeded())
    shifted = shift_tokens(x, 1)
    assert torch.equal(shifted[:, :10], shift_tokens(x[:, :10]))
    assert torch.equal(shifted[:, 10], x[:, 10])
    h = torch.randn((2, 11, 16), generator=seeded())
    assert torch.equal(dit.blocks[0].shifted(h), shift_tokens(h, 1))
    with pytest.raises(ValueError, match="with sentence_vector L must be 11, got 10"):
        dit(*(part[:, :10] if part.dim() > 1 else part for part in inputs))


def test_text_and_vector_see_each_other(inputs):
    z_t, *rest = inputs
    dit = build(**ONE)
    before = dit(*inputs)
    for row, others in ((10, slice(4, 10)), (9, slice(10, 11))):
        changed = z_t.clone()
        changed[:, row] += 1
        assert (dit(changed, *rest) - before)[0, others].abs().min() > 1e-6


def test_equal_weights_in_two_streams_are_the_dit(inputs):
    dit, twin = build_pair(token_shift=True, **ONE)
    target = ~inputs[3]
    for extra in ((), (torch.tensor([False, True, False]),)):
        torch.testing.assert_close(twin(*inputs, *extra)[target], dit(*inputs, *extra)[target])


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@pytest.mark.parametrize("internal_scale", [1.0, 2.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guidance_treats_it_as_a_target_row(inputs, name, internal_scale, scale):
    noise, _, ctx, ctx_mask = inputs
    dit = build(internal_depth=0.5, **ONE)
    field = ContextVelocity(dit, ctx, ctx_mask, "z", internal_scale)
    guided = Guided(field, GuidanceConfig(guidance_scale=scale))
    v = guided(noise, 0.3)
    field.reset()
    v_cond = field.single(noise, 0.3, drop=False)
    field.reset()
    v_uncond = field.single(noise, 0.3, drop=True)
    assert (v_cond - v_uncond)[:, -1].abs().max() > 1e-4
    expected = v_uncond + scale * (v_cond - v_uncond)
    torch.testing.assert_close(v[:, -1], expected[:, -1], atol=1e-5, rtol=1e-4)
    field.reset()
    *_, last = SAMPLERS[name](guided, noise, [0.0, 0.4, 0.7, 1.0])
    torch.testing.assert_close(last.z_t[ctx_mask], ctx[ctx_mask], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(last.z_t[:, -1], last.z_hat[:, -1], atol=1e-4, rtol=1e-4)
    assert last.z_t.isfinite().all()
