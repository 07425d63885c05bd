"""Flow path and loss: end points, oracles, masking, pairing, self-conditioning, learning."""

import math

import pytest
import torch
import torch.nn.functional as F
from test_dit import ALIGNED, build

from models.configs.flow import FlowConfig, TimeSamplerConfig
from models.dit import TextDiT
from models.flow import draw_latents, flow_loss, path, to_estimate, to_velocity


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    z = torch.randn((6, 10, 4), generator=generator)
    ctx = torch.randn((6, 10, 4), generator=generator)
    ctx_mask = torch.arange(10) < torch.tensor([[4], [5], [6], [2], [9], [0]])
    return z, ctx, ctx_mask


class Oracle(torch.nn.Module):
    """Stands in for the network and returns what it was told, whatever the input."""

    def __init__(self, out):
        super().__init__()
        self.out = out
        self.calls = []

    def forward(self, z_t, t, ctx, ctx_mask, cond_drop=None, z_self=None):
        self.calls.append((z_t, t, cond_drop, z_self))
        return self.out


def loss_of(dit, batch, seed=0, **settings):
    return flow_loss(dit, *batch, FlowConfig(**settings), torch.Generator().manual_seed(seed))


def test_path_ends_are_noise_and_data(batch):
    z, noise, _ = batch
    assert torch.equal(path(z, noise, torch.zeros(6)), noise)
    torch.testing.assert_close(path(z, noise, torch.ones(6)), z)


def test_velocity_and_estimate_invert_the_path(batch):
    z, noise, _ = batch
    t = torch.linspace(0.0, 0.9, 6)
    z_t = path(z, noise, t)
    torch.testing.assert_close(to_velocity(z, z_t, t, "z", 0.05), z - noise, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(to_estimate(z - noise, z_t, t, "v"), z)
    assert to_velocity(z, z_t, t, "v", 0.05) is z
    assert to_estimate(z, z_t, t, "z") is z


def test_a_perfect_latent_prediction_has_no_loss_at_any_t(batch):
    near_data = TimeSamplerConfig(loc=-4.0)
    assert loss_of(Oracle(batch[0]), batch, time=near_data).loss < 1e-10


def test_velocity_loss_of_zero_is_the_second_moment():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((256, 16, 8), generator=generator)
    batch = (z, z, torch.zeros((256, 16), dtype=torch.bool))
    losses = loss_of(Oracle(torch.zeros_like(z)), batch, prediction="v")
    assert abs(losses.loss - 2.0) < 0.03


def test_the_best_gaussian_denoiser_reaches_the_floor_of_pi_over_two():
    """Velocity floor of whitened latents and uniform t: pi / 2, quarters 1.287 and 1.855."""

    class GaussianDenoiser(torch.nn.Module):
        def forward(self, z_t, t, ctx, ctx_mask, cond_drop=None, z_self=None):
            return ((2 * t - 1) / ((1 - t) ** 2 + t**2))[:, None, None] * z_t

    z = torch.randn((4000, 4, 8), generator=torch.Generator().manual_seed(0))
    batch = (z, z, torch.zeros((4000, 4), dtype=torch.bool))
    uniform = TimeSamplerConfig(name="uniform")
    losses = loss_of(GaussianDenoiser(), batch, prediction="v", time=uniform)
    assert abs(losses.loss - math.pi / 2) < 0.02
    expected = torch.tensor([1.287, 1.855, 1.855, 1.287])
    torch.testing.assert_close(losses.quartile_losses, expected, atol=0.03, rtol=0)


def test_context_positions_do_not_enter_the_loss(batch):
    z, ctx, ctx_mask = batch
    dit = build()
    expected = loss_of(dit, batch)
    poisoned = torch.where(ctx_mask.unsqueeze(-1), 1e3, z), ctx, ctx_mask
    assert torch.equal(loss_of(dit, poisoned).loss, expected.loss)


def test_means_are_over_positions_then_texts_and_quartiles_add_up(batch):
    losses = loss_of(build(), batch)
    torch.testing.assert_close(losses.loss, losses.per_example.mean())
    assert losses.quartile_counts.sum() == 6
    total = (losses.quartile_losses * losses.quartile_counts).sum()
    torch.testing.assert_close(total, losses.per_example.sum())


def test_texts_without_target_are_left_out(batch):
    z, ctx, ctx_mask = batch
    ctx_mask = ctx_mask.clone()
    ctx_mask[0] = True
    losses = loss_of(build(), (z, ctx, ctx_mask))
    assert losses.per_example[0] == 0
    torch.testing.assert_close(losses.loss, losses.per_example[1:].mean())
    nothing = loss_of(build(), (z, ctx, torch.ones_like(ctx_mask)))
    assert nothing.loss == 0
    assert torch.isfinite(nothing.quartile_losses).all()


def test_draws_do_not_depend_on_the_network(batch):
    oracles = [Oracle(torch.full_like(batch[0], value)) for value in (0.0, 7.0)]
    for oracle in oracles:
        loss_of(oracle, batch, self_conditioning_prob=1.0)
    for first, second in zip(*(oracle.calls[0][:3] for oracle in oracles), strict=True):
        assert torch.equal(first, second)


def test_the_same_generator_gives_the_same_loss(batch):
    first, second, other = (loss_of(build(), batch, seed=s).loss for s in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_drops_follow_their_probability(batch):
    for probability in (0.0, 1.0):
        oracle = Oracle(batch[0])
        loss_of(oracle, batch, cond_drop_prob=probability, self_conditioning_prob=0.0)
        assert (oracle.calls[0][2] == bool(probability)).all()


@pytest.mark.parametrize("prediction", ["z", "v"])
def test_self_conditioning_hands_over_the_first_estimate(batch, prediction):
    oracle = Oracle(batch[1])
    loss_of(oracle, batch, self_conditioning_prob=1.0, prediction=prediction)
    (z_t, t, _, none), (_, _, _, z_self) = oracle.calls
    assert none is None
    torch.testing.assert_close(z_self, to_estimate(batch[1], z_t, t, prediction))
    oracle.calls.clear()
    loss_of(oracle, batch, self_conditioning_prob=0.0)
    assert len(oracle.calls) == 1


def test_self_conditioning_under_autocast_keeps_every_gradient(batch):
    """Weights that autocast cached in the pass without gradient must not cut the graph."""
    dit = build().train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = loss_of(dit, batch, self_conditioning_prob=1.0)
    losses.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in dit.parameters())


def test_latent_targets():
    mu, logvar = torch.ones((50, 8, 4)), torch.full((50, 8, 4), -2.0)
    generator = torch.Generator().manual_seed(0)
    assert draw_latents(mu, logvar, "mean", generator) is mu
    sample = draw_latents(mu, logvar, "sample", generator)
    assert abs(sample.mean() - 1.0) < 0.05
    assert abs(sample.std() - math.exp(-1.0)) < 0.02


@pytest.mark.parametrize("prediction", ["z", "v"])
def test_learns_one_text_by_heart(batch, prediction):
    z, ctx, ctx_mask = (x[:1].expand(16, *x.shape[1:]) for x in batch)
    dit = build(width=32).train()
    optimizer = torch.optim.AdamW(dit.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    config = FlowConfig(prediction=prediction, cond_drop_prob=0.0)
    history = []
    for _ in range(150):
        losses = flow_loss(dit, z, ctx, ctx_mask, config, generator)
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        history.append(losses.loss.item())
    assert sum(history[-10:]) < 0.15 * sum(history[:10])


@pytest.fixture
def teacher():
    generator = torch.Generator().manual_seed(3)
    states = torch.randn((6, 10, 7), generator=generator)
    return states, torch.arange(10).expand(6, 10) % 3 != 1


def test_an_aligned_block_adds_its_cosine_at_target_positions(batch, teacher):
    dit = build(**ALIGNED)
    config = FlowConfig(repa_weight=0.5, self_conditioning_prob=0.0)
    states, valid = teacher
    generator = torch.Generator().manual_seed(0)
    aligned = flow_loss(dit, *batch, config, generator, states, valid)
    plain = loss_of(dit, batch, self_conditioning_prob=0.0)
    assert torch.equal(aligned.velocity_loss, plain.loss.detach())
    assert torch.equal(aligned.per_example, plain.per_example), "the same draws"
    torch.testing.assert_close(aligned.loss, plain.loss - 0.5 * aligned.repa_cosine)
    assert torch.equal(plain.velocity_loss, plain.loss)
    assert plain.repa_cosine.isnan()

    seen = {}
    dit.project = lambda hidden: seen.setdefault("projected", TextDiT.project(dit, hidden))
    flow_loss(dit, *batch, config, torch.Generator().manual_seed(0), states, valid)
    rows = valid & ~batch[2]
    expected = F.cosine_similarity(seen["projected"][rows], states[rows], dim=-1).mean()
    torch.testing.assert_close(aligned.repa_cosine, expected.detach())


def test_alignment_reaches_the_blocks_before_it_and_not_those_after(batch, teacher):
    dit = build(layers=3, **ALIGNED)
    config = FlowConfig(repa_weight=1.0, self_conditioning_prob=0.0)
    plain = loss_of(dit, batch, self_conditioning_prob=0.0).loss
    losses = flow_loss(dit, *batch, config, torch.Generator().manual_seed(0), *teacher)
    (losses.loss - plain).backward()
    grads = [block.mlp.fc1.weight.grad.abs().max() for block in dit.blocks]
    assert grads[0] > 1e-5
    assert grads[1] < 1e-6
    assert grads[2] < 1e-6
    assert dit.projector[0].weight.grad.abs().max() > 1e-5


def test_an_aligned_block_learns_the_teachers_states(batch, teacher):
    dit = build(**ALIGNED).train()
    optimizer = torch.optim.AdamW(dit.parameters(), lr=1e-2)
    cosines = []
    for _ in range(120):
        generator = torch.Generator().manual_seed(0)
        losses = flow_loss(dit, *batch, FlowConfig(repa_weight=0.5), generator, *teacher)
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        cosines.append(float(losses.repa_cosine))
    assert cosines[-1] > 0.7 > 0.3 > abs(cosines[0])


@pytest.mark.parametrize("prediction", ["z", "v"])
def test_the_head_in_the_middle_adds_its_own_velocity_loss(batch, prediction):
    dit = build(internal_depth=0.5, self_conditioning=False)
    settings = {"prediction": prediction, "self_conditioning_prob": 0.0}
    plain, both = (
        loss_of(dit, batch, **settings),
        loss_of(dit, batch, internal_weight=0.5, **settings),
    )
    assert torch.equal(both.velocity_loss, plain.loss)
    assert torch.equal(both.quartile_losses, plain.quartile_losses)

    class Middle(torch.nn.Module):
        def forward(self, *inputs):
            return dit(*inputs, return_hidden=True).internal

    middle = loss_of(Middle(), batch, **settings).loss
    torch.testing.assert_close(both.internal_loss, middle)
    torch.testing.assert_close(both.loss, plain.loss + 0.5 * middle)
    assert math.isnan(plain.internal_loss)
    both.loss.backward()
    assert all(p.grad is not None for p in dit.parameters())


def test_alignment_and_the_head_in_the_middle_add_up(batch, teacher):
    dit = build(internal_depth=0.5, **ALIGNED)
    config = FlowConfig(internal_weight=0.5, repa_weight=2.0)
    found = flow_loss(dit, *batch, config, torch.Generator().manual_seed(0), *teacher)
    expected = found.velocity_loss + 0.5 * found.internal_loss - 2.0 * found.repa_cosine
    torch.testing.assert_close(found.loss, expected)
