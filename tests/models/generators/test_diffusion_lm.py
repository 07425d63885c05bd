"""Diffusion-LM: its schedule, its loss, clamping, and what it has learnt by heart."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from toy_families import CTX_LEN, WINDOW, build, prompts, seeded, sizes

from models.configs.generators import (
    EmbeddingSamplingConfig,
)
from models.generators.control import Control, NoisyClassifier
from models.generators.diffusion_lm import posterior, sqrt_schedule
from models.generators.families import FAMILIES
from models.noise import normal_like, uniform


def test_the_noise_follows_the_square_root():
    """abar(s) = 1 - sqrt(s + 1e-4), relative to the start: products of the original's betas."""
    found = sqrt_schedule(2000)
    f = [1 - math.sqrt(i / 2000 + 1e-4) for i in range(2001)]
    betas = [min(1 - f[i + 1] / f[i], 0.999) for i in range(2000)]
    expected = torch.tensor([1 - beta for beta in betas], dtype=torch.float64).cumprod(0)
    torch.testing.assert_close(found, expected.float())
    assert found[0].item() == pytest.approx((1 - math.sqrt(6e-4)) / 0.99, rel=1e-6)
    assert 0 < found[-1] < 1e-4


def test_a_step_down_keeps_the_marginals():
    """Mean and variance of z at the lower level are those of noise put on the clean embedding."""
    signal = sqrt_schedule(50)
    for level, earlier in ((49, 40), (30, 29), (5, 0)):
        of_clean, of_noisy, variance = posterior(signal[level], signal[earlier])
        mean = of_clean + of_noisy * signal[level].sqrt()
        torch.testing.assert_close(mean, signal[earlier].sqrt(), atol=1e-5, rtol=1e-5)
        spread = of_noisy**2 * (1 - signal[level]) + variance
        torch.testing.assert_close(spread, 1 - signal[earlier], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lowest", [False, True])
def test_embedding_loss_is_the_formula(monkeypatch, lowest):
    """Error of the clean embedding, what full noise leaves of it, and the rounding."""
    model, token_ids = build("diffusion-lm"), prompts()
    if lowest:
        model.config = dataclasses.replace(model.config, diffusion_steps=1999)
        monkeypatch.setattr(
            "models.generators.diffusion_lm.uniform",
            lambda shape, reference, generator: torch.full(
                shape, 0.625 if len(shape) == 2 else 0.0
            ),
        )
    found = model.training_loss(token_ids, token_ids > 0, seeded(5))
    generator = seeded(5)
    if lowest:
        share, level = torch.full((4, 1), 0.25), torch.zeros(4, dtype=torch.long)
    else:
        share = 2 * uniform((4, 1), token_ids, generator) - 1
        level = (uniform((4,), token_ids, generator) * 2000).long()
    clean = torch.arange(WINDOW) < share * WINDOW
    e, abar = model.embedding(token_ids), sqrt_schedule(2000)
    x_start = e + (1 - abar[0]).sqrt() * normal_like(e, generator)
    a = abar[level][:, None, None]
    x_t = a.sqrt() * x_start + (1 - a).sqrt() * normal_like(e, generator)
    x_hat = model._predict(torch.where(clean[..., None], e, x_t), level, clean)
    target = e if lowest else x_start
    mse = ((x_hat - target) ** 2).mean(-1)[~clean].mean()
    nll = F.cross_entropy((x_start @ model.embedding.weight.T).flatten(0, 1), token_ids.flatten())
    left = (abar[-1].sqrt() * e).square().mean()
    torch.testing.assert_close(found["loss"], mse + left + nll, rtol=1e-4, atol=1e-5)
    found["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_clamped_prediction_is_a_tokens_embedding(monkeypatch):
    """What the next step starts from is made of embeddings: the states that the network is given
    differ from those without clamping, and the last reading is the nearest token."""
    model, seen, states = build("diffusion-lm"), [], []
    plain = model._predict

    def spied(z, level, clean):
        states.append(z)
        seen.append(plain(z, level, clean))
        return seen[-1]

    monkeypatch.setattr(model, "_predict", spied)
    sampling = EmbeddingSamplingConfig(num_steps=4)
    steps = list(model.write(prompts()[:1], CTX_LEN[:1], sampling, [seeded()]))
    for step, predicted in zip(steps, seen, strict=True):
        with torch.inference_mode():
            nearest = torch.cdist(predicted[0], model.embedding.weight).argmin(dim=-1)
        assert torch.equal(step.token_ids[0], nearest)
    assert not steps[-2].written.any()
    generator, signal = seeded(), sqrt_schedule(2000)
    torch.randn(states[0].shape[1:], generator=generator)
    weights = posterior(signal[1999], signal[1333])
    noise = torch.randn(states[0].shape[1:], generator=generator)
    with torch.inference_mode():
        clamped = model.embedding(steps[0].token_ids[0])
        expected = weights[0] * clamped + weights[1] * states[0][0] + weights[2].sqrt() * noise
        torch.testing.assert_close(states[1][0], expected)


def test_what_stands_behind_a_gap_is_as_noisy_as_the_step(monkeypatch):
    """The beginning is clean and marked so; behind the gap the text has the level's own noise."""
    model, seen = build("diffusion-lm"), []
    plain = model._predict
    monkeypatch.setattr(
        model, "_predict", lambda z, level, clean: seen.append((z, clean)) or plain(z, level, clean)
    )
    given = ((torch.arange(WINDOW) < 3) | (torch.arange(WINDOW) > 7))[None]
    text = prompts()[:1]
    list(model.infill(text, given, EmbeddingSamplingConfig(num_steps=3), [seeded()]))
    generator, abar = seeded(), sqrt_schedule(2000)[1999]
    with torch.inference_mode():
        e = model.embedding(text)[0]
        start, noise = (torch.randn(e.shape, generator=generator) for _ in range(2))
        z, clean = seen[0]
        torch.testing.assert_close(z[0, :3], e[:3])
        torch.testing.assert_close(z[0, 3:8], start[3:8])
        expected = abar.sqrt() * e + (1 - abar).sqrt() * noise
        torch.testing.assert_close(z[0, 8:], expected[8:])
    assert clean[0].tolist() == [True] * 3 + [False] * 9


def test_control_leads_to_the_wanted_class_and_moves_nothing_given():
    """Texts of even tokens and of odd ones: free writing makes both, a target makes its own."""
    texts = torch.randint(0, 4, (64, WINDOW), generator=seeded(1)) * 2 + 2
    labels = torch.arange(64) % 2
    texts = texts + labels[:, None]
    model = FAMILIES["diffusion-lm"].model()(sizes("diffusion-lm", embedding_width=16), seeded())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(200):
        optimizer.zero_grad()
        model.training_loss(texts, texts > 0, seeded(step))["loss"].backward()
        optimizer.step()
    classifier = NoisyClassifier(16, WINDOW, 2, seeded(2))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=5e-3)
    embeddings = model.eval().embedding(texts).detach()
    losses = []
    for step in range(100):
        optimizer.zero_grad()
        loss = classifier.loss(embeddings, model.signal, labels, seeded(step))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    sampling, cuts = EmbeddingSamplingConfig(num_steps=20), torch.zeros(40, dtype=torch.long)
    cuts[0] = 4
    start = texts[:1].repeat(40, 1)

    def odd(control: Control | None) -> tuple[torch.Tensor, float]:
        generators = [seeded(row) for row in range(40)]
        way = (start, cuts, sampling, generators)
        *_, last = model.write(*way) if control is None else model.controlled(*way, control)
        assert torch.equal(last.token_ids[0, :4], start[0, :4])
        return last.token_ids, (last.token_ids[1:] % 2).float().mean().item()

    free, none = odd(None)
    _, even = odd(Control(classifier=classifier, target=0))
    second, most = odd(Control(classifier=classifier, target=1))
    assert even < none - 0.15
    assert most > none + 0.15
    still, _ = odd(Control(classifier=classifier, target=1, num_steps=0))
    assert torch.equal(still, free)
    alone = model.controlled(
        start[5:6], cuts[5:6], sampling, [seeded(5)], Control(classifier=classifier, target=1)
    )
    assert torch.equal(list(alone)[-1].token_ids[0], second[5])


def test_a_trained_denoiser_writes_what_it_learnt():
    """One text, learnt by heart, comes back from any noise, and after any part of it."""
    model = FAMILIES["diffusion-lm"].model()(sizes("diffusion-lm"), seeded())
    text = prompts()[:1]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(150):
        optimizer.zero_grad()
        model.training_loss(text.repeat(8, 1), text > 0, seeded(step))["loss"].backward()
        optimizer.step()
    for cut in (0, 5):
        sampling = EmbeddingSamplingConfig(num_steps=20)
        last = list(model.write(text, torch.tensor([cut]), sampling, [seeded(cut)]))[-1]
        assert torch.equal(last.token_ids, text)
