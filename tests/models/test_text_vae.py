"""TextVAE: no leak between separate encodings, posterior settings, projector, noise, weights."""

import math

import pytest
import torch

from models.configs.vae import TextVAEConfig
from models.projectors import hidden_positions
from models.text_vae import LOGVAR_RANGE, TextVAE

SMALL = {
    "vocab_size": 31,
    "window": 12,
    "width": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "heads": 2,
    "latent_width": 4,
    "teacher_width": 10,
    "projector_width": 8,
}


def build(seed=0, **overrides):
    config = TextVAEConfig(**{**SMALL, **overrides})
    return TextVAE(config, torch.Generator().manual_seed(seed)).eval()


@pytest.fixture
def token_ids():
    return torch.randint(0, 31, (3, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("autocast", [False, True])
def test_target_tokens_do_not_reach_context_latents_under_segments(token_ids, autocast):
    vae = build()
    cut = torch.tensor([[4], [5], [7]])
    is_ctx = torch.arange(12) < cut
    changed = torch.where(is_ctx, token_ids, (token_ids + 11) % 31)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        apart, apart_changed = (vae.encode(x, (~is_ctx).long()) for x in (token_ids, changed))
        joint, joint_changed = (vae.encode(x) for x in (token_ids, changed))
    assert torch.equal(apart.mu[is_ctx], apart_changed.mu[is_ctx])
    assert torch.equal(apart.logvar[is_ctx], apart_changed.logvar[is_ctx])
    assert (joint.mu[is_ctx] - joint_changed.mu[is_ctx]).abs().max() > 1e-2


def test_context_tokens_do_not_reach_target_latents_under_segments(token_ids):
    vae = build()
    is_target = (torch.arange(12) >= 5).expand(3, 12)
    changed = torch.where(is_target, token_ids, (token_ids + 11) % 31)
    first, second = (vae.encode(x, is_target.long()).mu[is_target] for x in (token_ids, changed))
    assert torch.equal(first, second)


def test_context_under_segments_equals_the_context_encoded_alone(token_ids):
    vae = build()
    segments = (torch.arange(12) >= 5).long().expand(3, 12)
    torch.testing.assert_close(
        vae.encode(token_ids, segments).mu[:, :5], vae.encode(token_ids[:, :5]).mu
    )


def test_layernorm_and_l2_fix_the_scale_of_mu(token_ids):
    layernorm = build(mu_norm="layernorm").encode(token_ids).mu
    torch.testing.assert_close(layernorm.mean(-1), torch.zeros(3, 12), atol=1e-5, rtol=0)
    torch.testing.assert_close(layernorm.square().mean(-1), torch.ones(3, 12), atol=1e-3, rtol=0)
    l2 = build(mu_norm="l2").encode(token_ids).mu
    torch.testing.assert_close(l2.square().mean(-1), torch.ones(3, 12))
    none = build(mu_norm="none").encode(token_ids).mu
    assert (none.square().mean(-1) - 1).abs().max() > 0.1


def test_sigma_settings_keep_their_ranges(token_ids):
    def sigma(**overrides):
        vae = build(**overrides)
        torch.nn.init.normal_(vae.logvar_head.weight, std=20.0)
        return (0.5 * vae.encode(token_ids).logvar).exp()

    bounded = sigma(sigma="bounded", sigma_min=0.2, sigma_max=0.7)
    assert bounded.min() >= 0.2 - 1e-6
    assert bounded.max() <= 0.7 + 1e-6
    assert bounded.std() > 0.05
    fixed = sigma(sigma="fixed", sigma_value=0.3)
    torch.testing.assert_close(fixed, torch.full_like(fixed, 0.3))
    learned = sigma(sigma="learned")
    assert learned.min() >= math.exp(LOGVAR_RANGE[0] / 2) * 0.999
    assert learned.max() <= math.exp(LOGVAR_RANGE[1] / 2) * 1.001


def test_sample_has_the_posterior_moments(token_ids):
    vae = build(sigma="fixed", sigma_value=0.5)
    posterior = vae.encode(token_ids)
    generator = torch.Generator().manual_seed(2)
    draws = torch.stack([vae.sample(posterior, generator) for _ in range(500)])
    torch.testing.assert_close(draws.mean(0), posterior.mu, atol=0.12, rtol=0)
    assert abs(draws.std(0).mean().item() - 0.5) < 0.01


def test_normalisation_round_trip_and_decoder_units(token_ids):
    vae = build()
    vae.set_normalisation(torch.tensor([1.0, -2.0, 0.5, 0.0]), torch.tensor([2.0, 0.5, 0.0, 1.0]))
    assert vae.latent_std.tolist() == [2.0, 0.5, 1.0, 1.0]
    z = vae.encode(token_ids).mu
    torch.testing.assert_close(vae.denormalise(vae.normalise(z)), z)
    torch.testing.assert_close(vae.decode_normalised(vae.normalise(z)), vae.decode(z))
    with pytest.raises(ValueError, match="must be finite"):
        vae.set_normalisation(torch.full((4,), torch.nan), torch.ones(4))


def test_decoder_noise_scales_with_the_latents():
    vae = build(decoder_noise=0.8)
    z = torch.randn((1024, 12, 4), generator=torch.Generator().manual_seed(3))
    z = z * torch.tensor([1.0, 2.0, 3.0, 4.0])

    def added(scale):
        return vae.augment(scale * z, torch.Generator().manual_seed(4)) - scale * z

    torch.testing.assert_close(added(100.0), 100.0 * added(1.0), atol=1e-2, rtol=1e-3)
    relative = added(1.0).std(dim=(0, 1)) / z.std(dim=(0, 1))
    expected = 0.8 / math.sqrt(3.0)
    torch.testing.assert_close(relative, torch.full((4,), expected), atol=0.02, rtol=0)
    assert build().augment(z, torch.Generator()) is z


@pytest.mark.parametrize("site", ["latent", "trunk"])
@pytest.mark.parametrize("projector", ["mlp", "linear", "conv", "deep"])
def test_projector_shape_and_mask(token_ids, site, projector):
    vae = build(repa_site=site, projector=projector)
    mask = (torch.arange(12) < 6).expand(3, 12)
    posterior = vae.encode(token_ids)
    projected = vae.project(posterior, mask)
    assert projected.shape == (3, 12, 10)
    poisoned = posterior._replace(
        **{name: getattr(posterior, name) + 100.0 * ~mask.unsqueeze(-1) for name in ("mu", "trunk")}
    )
    torch.testing.assert_close(vae.project(poisoned, mask), projected)
    assert torch.isfinite(vae.project(poisoned, torch.zeros_like(mask))).all()


@pytest.mark.parametrize(("projector", "reach"), [("mlp", 0), ("linear", 0), ("conv", 1)])
def test_a_projector_sees_its_neighbours_as_far_as_it_reaches(token_ids, projector, reach):
    assert reached_by(build(projector=projector), token_ids) == list(range(6 - reach, 7 + reach))


def test_the_deep_projector_sees_the_whole_text_but_no_padding(token_ids):
    vae = build(projector="deep")
    assert reached_by(vae, token_ids) == list(range(9))
    posterior = vae.encode(token_ids)
    alone = posterior._replace(mu=posterior.mu[:, :9])
    mask = (torch.arange(12) < 9).expand(3, 12)
    projected = vae.project(posterior, mask)[:, :9]
    torch.testing.assert_close(projected, vae.project(alone, mask[:, :9]))


def test_hidden_positions_enter_the_projector_as_one_learned_vector(token_ids):
    vae = build(projector="deep", mask_share=0.5)
    mask, hidden = torch.ones((3, 12), dtype=torch.bool), (torch.arange(12) % 3 == 1).expand(3, 12)
    posterior = vae.encode(token_ids)
    changed = posterior._replace(mu=posterior.mu + 9.0 * hidden.unsqueeze(-1))
    projected = vae.project(posterior, mask, hidden)
    assert torch.equal(vae.project(changed, mask, hidden), projected)
    assert not torch.equal(vae.project(changed, mask), vae.project(posterior, mask))
    projected.sum().backward()
    assert vae.projector.mask_token.grad.abs().sum() > 0


def test_what_is_hidden_is_the_share_asked_for_and_the_target():
    mask = torch.ones((200, 12), dtype=torch.bool)
    segments = (torch.arange(12) >= 5).long().expand(200, 12)

    def hidden(apart, seed=0, **settings):
        config = TextVAEConfig(**{**SMALL, "projector": "deep", **settings})
        generator = torch.Generator().manual_seed(seed)
        found = hidden_positions(config, mask, segments if apart else None, generator)
        untouched = torch.equal(
            generator.get_state(), torch.Generator().manual_seed(seed).get_state()
        )
        assert untouched == (config.mask_share == 0), "draws for a share alone"
        return found

    assert hidden(True) is None
    assert torch.equal(hidden(True, mask_target=True), segments > 0)
    assert hidden(False, mask_target=True) is None, "encoded together, there is no target"
    drawn = hidden(True, mask_share=0.25)
    assert abs(drawn.float().mean() - 0.25) < 0.03
    assert not torch.equal(drawn, hidden(True, seed=1, mask_share=0.25))
    assert torch.equal(hidden(True, mask_share=0.25, mask_target=True), drawn | (segments > 0))


def reached_by(vae: TextVAE, token_ids: torch.Tensor) -> list[int]:
    """Positions of a text of nine tokens whose latents the projection at position 6 depends on."""
    mask = (torch.arange(12) < 9).expand(3, 12)
    posterior = vae.encode(token_ids)
    mu = posterior.mu.detach().requires_grad_()
    vae.project(posterior._replace(mu=mu), mask)[0, 6].sum().backward()
    return mu.grad[0].abs().sum(-1).nonzero()[:, 0].tolist()


def test_the_trunk_site_leaves_the_latents_without_alignment_gradient(token_ids):
    mask = torch.ones((3, 12), dtype=torch.bool)
    for site, reaches in (("latent", True), ("trunk", False)):
        vae = build(repa_site=site)
        vae.project(vae.encode(token_ids), mask).sum().backward()
        assert (vae.mu_head.weight.grad is not None) == reaches
        assert vae.token_embedding.weight.grad.abs().sum() > 0


def test_equal_seeds_give_equal_weights_whatever_the_global_state_and_projector():
    torch.manual_seed(5)
    first = build(seed=7).state_dict()
    torch.manual_seed(6)
    second = build(seed=7).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    shared = [name for name in first if not name.startswith("projector")]
    for projector in ("conv", "deep"):
        other = build(seed=7, repa_site="trunk", projector=projector).state_dict()
        assert all(torch.equal(first[name], other[name]) for name in shared)
    deep, masked = (build(seed=7, projector="deep", mask_share=s).state_dict() for s in (0.0, 0.5))
    assert set(masked) - set(deep) == {"projector.mask_token"}
    assert all(torch.equal(deep[name], masked[name]) for name in deep)
    assert not torch.equal(first["head.weight"], build(seed=8).state_dict()["head.weight"])
