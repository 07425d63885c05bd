"""VAE loss: KL oracle, schedules, alignment, and a batch that is learnt by heart."""

import pytest
import torch
import torch.nn.functional as F
from test_text_vae import build

from models.alignment_loss import gram_error
from models.configs.vae import VAELossConfig
from models.vae_loss import beta_at, kl_divergence, vae_loss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(12) < torch.tensor([[7], [9], [12], [4]])
    token_ids = torch.randint(1, 31, (4, 12), generator=generator) * mask
    return token_ids, mask


def compute(vae, batch, config=None, seed=0, **arguments):
    defaults = {"step": 5, "num_steps": 10, "generator": torch.Generator().manual_seed(seed)}
    return vae_loss(vae, *batch, config or VAELossConfig(), **{**defaults, **arguments})


def test_kl_of_the_prior_is_zero_and_matches_torch():
    zeros = torch.zeros((2, 3, 4))
    assert (kl_divergence(zeros, zeros) == 0).all()
    mu = torch.randn((2, 3, 4), generator=torch.Generator().manual_seed(0))
    logvar = mu.flip(0) - 1.0
    posterior = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(-1)
    torch.testing.assert_close(kl_divergence(mu, logvar), expected)


def test_beta_warms_up_linearly():
    config = VAELossConfig(beta=0.5, kl_warmup_fraction=0.2)
    assert [beta_at(config, step, 100) for step in (0, 10, 20, 99)] == [0.0, 0.25, 0.5, 0.5]
    assert beta_at(VAELossConfig(beta=0.5, kl_warmup_fraction=0.0), 0, 100) == 0.5


def test_parts_add_up_and_count_real_tokens_only(batch):
    vae = build()
    config = VAELossConfig(beta=0.1, kl_warmup_fraction=0.0, eot_weight=0.2)
    losses = compute(vae, batch, config)
    token_ids, mask = batch
    generator = torch.Generator().manual_seed(0)
    posterior = vae.encode(token_ids)
    logits = vae.decode(vae.sample(posterior, generator))
    nll = F.cross_entropy(logits.transpose(1, 2), token_ids, reduction="none")
    weights = torch.where(mask, 1.0, 0.2)
    torch.testing.assert_close(losses.recon_nll, nll[mask].mean())
    torch.testing.assert_close(losses.eot_nll, nll[~mask].mean())
    accuracy = (logits.argmax(-1) == token_ids)[mask].float().mean()
    torch.testing.assert_close(losses.token_accuracy, accuracy)
    kl = kl_divergence(posterior.mu, posterior.logvar).mean()
    torch.testing.assert_close(losses.loss, (nll * weights).sum() / weights.sum() + 0.1 * kl)


def test_alignment_changes_the_gradient_but_neither_noise_nor_reconstruction(batch):
    vae = build()
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    config = VAELossConfig(repa_weight=0.5)
    off = compute(vae, batch)
    on = compute(vae, batch, config, teacher_states=states, teacher_valid=batch[1])
    assert torch.equal(off.recon_nll, on.recon_nll)
    assert torch.equal(off.kl, on.kl)
    assert off.repa_cosine.isnan(), "there is no cosine without a teacher"
    torch.testing.assert_close(on.loss, off.loss - 0.5 * on.repa_cosine)
    on.loss.backward()
    assert vae.projector[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("site", "texts"), [("latent", 1), ("trunk", 1), ("latent", 3)])
def test_gram_alignment_reads_the_site_itself_and_needs_no_projector(batch, site, texts):
    vae, (token_ids, mask) = build(repa_site=site), batch
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    usable = torch.arange(12).expand(4, 12) % 3 != 1
    config = VAELossConfig(alignment="gram", repa_weight=0.5, gram_texts=texts)
    off = compute(vae, batch)
    on = compute(vae, batch, config, teacher_states=states, teacher_valid=usable)
    posterior = vae.encode(token_ids)
    aligned = posterior.mu if site == "latent" else posterior.trunk
    expected = gram_error(aligned, states, usable & mask, texts)
    torch.testing.assert_close(on.gram_error, expected.detach())
    torch.testing.assert_close(on.loss, off.loss + 0.5 * on.gram_error)
    assert on.repa_cosine.isnan()
    on.loss.backward()
    assert all(p.grad is None for p in vae.projector.parameters())


@pytest.mark.parametrize("hides", [{"mask_share": 0.4}, {"mask_target": True}])
def test_a_projector_tells_what_is_hidden_from_the_rest_after_the_noise(batch, hides):
    vae, (token_ids, mask) = build(projector="deep", **hides), batch
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    segments = (torch.arange(12) >= 5).long().expand(4, 12)
    config = VAELossConfig(repa_weight=0.5)
    off = compute(vae, batch, segments=segments)
    on = compute(vae, batch, config, segments=segments, teacher_states=states, teacher_valid=mask)
    assert torch.equal(off.recon_nll, on.recon_nll), "the noise is the twins'"

    generator = torch.Generator().manual_seed(0)
    posterior = vae.encode(token_ids, segments)
    vae.sample(posterior, generator)
    drawn = torch.rand((4, 12), generator=generator)
    hidden = segments > 0 if "mask_target" in hides else drawn < 0.4
    projected = vae.project(posterior, mask, hidden)
    expected = F.cosine_similarity(projected[mask], states[mask], dim=-1).mean()
    torch.testing.assert_close(on.repa_cosine, expected.detach())
    on.loss.backward()
    assert vae.projector.mask_token.grad.abs().sum() > 0


def test_without_alignment_the_teacher_is_never_touched(batch):
    vae = build()
    compute(vae, batch, teacher_states=object(), teacher_valid=object()).loss.backward()
    assert all(p.grad is None for p in vae.projector.parameters())


def test_nothing_valid_is_finite(batch):
    vae = build()
    token_ids, mask = batch
    nowhere = torch.zeros_like(mask)
    losses = compute(
        vae,
        (token_ids, nowhere),
        VAELossConfig(repa_weight=1.0),
        teacher_states=torch.full((4, 12, 10), torch.nan),
        teacher_valid=nowhere,
    )
    losses.loss.backward()
    defined = losses._asdict()
    assert defined.pop("log_snr").isnan()
    assert defined.pop("gram_error").isnan()
    assert defined.pop("gradient_shares").isnan().all()
    assert all(torch.isfinite(value) for value in defined.values())
    grads = [p.grad for p in vae.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_alignment_counts_real_tokens_with_a_usable_teacher_row_only(batch):
    vae, (token_ids, mask) = build(), batch
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    usable = torch.arange(12).expand(4, 12) % 3 != 1
    config = VAELossConfig(repa_weight=1.0)
    losses = compute(vae, batch, config, teacher_states=states, teacher_valid=usable)
    rows = usable & mask
    projected = vae.project(vae.encode(token_ids), mask)
    expected = F.cosine_similarity(projected[rows], states[rows], dim=-1).mean()
    torch.testing.assert_close(losses.repa_cosine, expected.detach())


@pytest.mark.parametrize("autocast", [False, True])
def test_learns_one_batch_by_heart(batch, autocast):
    vae = build(width=32, decoder_noise=0.1).train()
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.AdamW(vae.parameters(), lr=5e-3)
    config = VAELossConfig(repa_weight=0.3)
    generator = torch.Generator().manual_seed(2)
    for step in range(150):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses = compute(
                vae,
                batch,
                config,
                step=step,
                num_steps=150,
                generator=generator,
                teacher_states=states,
                teacher_valid=batch[1],
            )
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
    assert losses.token_accuracy > 0.95
    assert losses.repa_cosine > 0.5


@pytest.mark.parametrize("site", ["latent", "trunk"])
def test_gradient_shares_are_those_of_each_term_alone(batch, site):
    vae = build(repa_site=site)
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    teacher = {"teacher_states": states, "teacher_valid": batch[1]}
    trunks = []
    encode = vae.encode

    def remember(*arguments):
        trunks.append(encode(*arguments))
        return trunks[-1]

    vae.encode = remember

    def norm(config, **more):
        return torch.autograd.grad(compute(vae, batch, config, **more).loss, trunks[-1].trunk)[0]

    plain = norm(VAELossConfig(beta=0.0))
    kl = norm(VAELossConfig(beta=0.3, kl_warmup_fraction=0.0)) - plain
    repa = norm(VAELossConfig(beta=0.0, repa_weight=0.7), **teacher) - plain
    expected = torch.stack([plain.norm(), kl.norm(), repa.norm()])
    config = VAELossConfig(beta=0.3, kl_warmup_fraction=0.0, repa_weight=0.7)
    losses = compute(vae, batch, config, watch_gradients=True, **teacher)
    assert losses.gradient_shares.isnan().all(), "filled by the backward pass"
    losses.loss.backward()
    torch.testing.assert_close(
        losses.gradient_shares, expected / expected.sum(), atol=1e-4, rtol=1e-3
    )


def test_gradient_share_of_a_term_that_is_off_is_not_defined(batch):
    losses = compute(build(), batch, watch_gradients=True)
    losses.loss.backward()
    assert losses.gradient_shares[2].isnan()
    torch.testing.assert_close(losses.gradient_shares[:2].sum(), torch.tensor(1.0))


def test_watching_gradients_changes_no_bit_of_them(batch):
    states = torch.randn((4, 12, 10), generator=torch.Generator().manual_seed(3))
    grads = []
    for watch in (False, True):
        vae = build()
        losses = compute(
            vae,
            batch,
            VAELossConfig(repa_weight=1.0),
            teacher_states=states,
            teacher_valid=batch[1],
            watch_gradients=watch,
        )
        losses.loss.backward()
        grads.append([p.grad for p in vae.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_log_snr_is_that_of_the_probe(batch):
    from analyses.spaces.scale import ScaleConfig, scale

    vae, (token_ids, mask) = build(), batch
    posterior = vae.encode(token_ids)
    texts = torch.nonzero(mask)[:, 0].numpy()
    rows = [x[mask].detach().numpy() for x in (posterior.mu, posterior.logvar)]
    probed = scale(rows[0], texts, ScaleConfig(), logvar=rows[1])
    assert float(compute(vae, batch).log_snr) == pytest.approx(probed.score, abs=1e-4)
