"""Masked diffusion: its loss, its masks and its revealing against direct formulas."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toy_families import CTX_LEN, VOCABULARY, WINDOW, build, prompts, seeded, write

from models.configs.generators import (
    RemaskingConfig,
    TokenNetworkConfig,
)
from models.generators.masked_diffusion import (
    LEAST_RATE,
    MaskedDiffusion,
    first_of,
    most_confident,
    reveal_schedule,
)
from models.noise import uniform


def test_masked_loss_is_the_formula():
    """mean over texts and positions of 1[masked] * nll / p_mask, p_mask = (1 - 1e-3) t + 1e-3."""
    model, token_ids = build("llada"), prompts()
    found = model.training_loss(token_ids, token_ids > 0, seeded(5))["loss"]
    generator = seeded(5)
    p_mask = (1 - 1e-3) * uniform((4, 1), token_ids, generator) + 1e-3
    masked = uniform((4, WINDOW), token_ids, generator) < p_mask
    logits = model.logits(torch.where(masked, model.mask_id, token_ids))
    nll = F.cross_entropy(logits.flatten(0, 1), token_ids.flatten(), reduction="none")
    expected = (nll.view(4, WINDOW) * masked / p_mask).sum() / (4 * WINDOW)
    torch.testing.assert_close(found, expected)


def test_masked_loss_of_nothing_masked_is_zero(monkeypatch):
    monkeypatch.setattr(
        "models.generators.masked_diffusion.uniform",
        lambda shape, reference, generator: torch.full(shape, 0.5 if shape[1] == 1 else 0.999),
    )
    model = build("llada")
    loss = model.training_loss(prompts(), prompts() > 0, seeded())["loss"]
    assert loss.item() == 0.0
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_masks_come_at_their_rate():
    """Over many texts, as many positions are masked as t says, and at least one in a thousand."""
    seen = []

    class Spy(MaskedDiffusion):
        def _hidden(self, token_ids: Tensor) -> Tensor:
            seen.append((token_ids == self.mask_id).float().mean(dim=1))
            return super()._hidden(token_ids)

    sizes = TokenNetworkConfig(vocab_size=VOCABULARY, window=200, width=8, layers=1, heads=1)
    texts = torch.ones(500, 200, dtype=torch.long)
    Spy(sizes, seeded()).training_loss(texts, texts > 0, seeded(2))
    t = uniform((500, 1), texts, seeded(2))[:, 0]
    torch.testing.assert_close(seen[0], (1 - LEAST_RATE) * t + LEAST_RATE, atol=0.15, rtol=0)
    assert (seen[0] - t).mean().abs() < 0.01


def direct_llada(
    model: MaskedDiffusion, prompt: Tensor, cut: int, sampling: RemaskingConfig, seed: int
) -> Tensor:
    """One text, written as LLaDA's paper and public code describe it, step by step."""
    mask_id, generator = model.mask_id, seeded(seed)
    x = torch.full((1, WINDOW), mask_id)
    x[0, :cut] = prompt[:cut]
    given = x != mask_id
    length, own_scale = WINDOW - cut, sampling.guidance_scale - 1
    for block in range(sampling.blocks):
        start = cut + length * block // sampling.blocks
        end = cut + length * (block + 1) // sampling.blocks
        steps = sampling.num_steps // sampling.blocks + (
            block < sampling.num_steps % sampling.blocks
        )
        base, remainder = divmod(int((x[:, start:end] == mask_id).sum()), steps)
        for step in range(steps):
            logits = model.logits(x)
            if own_scale != 0:
                without = model.logits(torch.where(given, mask_id, x))
                logits = without + (own_scale + 1) * (logits - without)
            noisy = logits.double()
            if sampling.temperature > 0:
                noise = torch.rand((WINDOW, VOCABULARY), generator=generator, dtype=torch.float64)
                noisy = noisy.exp() / (-torch.log(noise)) ** sampling.temperature
            x0 = noisy.argmax(dim=-1)
            confidence = F.softmax(logits.double(), dim=-1).gather(-1, x0[..., None])[..., 0]
            confidence[:, end:] = -torch.inf
            confidence = torch.where(x == mask_id, confidence, -torch.inf)
            chosen = confidence[0].topk(base + (step < remainder)).indices
            x[0, chosen] = x0[0, chosen]
    return x


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("num_steps", "blocks"), [(6, 2), (7, 3), (12, 1), (30, 4)])
def test_revealing_equals_the_description(temperature, guidance_scale, num_steps, blocks):
    model = build("llada")
    sampling = RemaskingConfig(
        num_steps=num_steps, blocks=blocks, temperature=temperature, guidance_scale=guidance_scale
    )
    generators = [seeded(row) for row in range(4)]
    found = list(model.write(prompts(), CTX_LEN, sampling, generators))[-1].token_ids
    with torch.inference_mode():
        for row, cut in enumerate(CTX_LEN.tolist()):
            expected = direct_llada(model, prompts()[row], cut, sampling, row)
            assert torch.equal(found[row : row + 1], expected)


def test_a_gap_is_revealed_as_described_with_both_sides_in_sight():
    """One token a step, without noise: always the mask that the model is surest of."""
    model, text = build("llada"), prompts()[:1]
    given = (torch.arange(WINDOW) < 3)[None] | (torch.arange(WINDOW) > 7)
    sampling = RemaskingConfig(num_steps=5, blocks=1, temperature=0.0)
    *_, last = model.infill(text, given, sampling, [seeded()])
    x = text.masked_fill(~given, model.mask_id)
    with torch.inference_mode():
        for _ in range(5):
            best = model.logits(x).double().softmax(-1).max(-1)
            place = best.values.masked_fill(x != model.mask_id, -1.0).argmax(dim=1)
            x[0, place] = best.indices[0, place]
    assert torch.equal(last.token_ids, x)


def test_guidance_of_masks_is_off_at_one_and_blind_at_zero():
    off, doubled = write("llada", guidance_scale=1.0), write("llada", guidance_scale=1.5)
    assert (off[-1].nfe, doubled[-1].nfe) == (6, 12)
    model = build("llada")
    sampling = RemaskingConfig(num_steps=6, blocks=2, guidance_scale=0.0)
    cut = torch.tensor([4])
    one, other = (
        list(model.write(torch.full((1, WINDOW), token), cut, sampling, [seeded()]))[-1]
        for token in (3, 9)
    )
    assert torch.equal(one.token_ids[:, 4:], other.token_ids[:, 4:])
    assert one.nfe == 6


@pytest.mark.parametrize(("num_steps", "blocks"), [(1, 1), (6, 2), (7, 3), (40, 4)])
def test_the_schedule_reveals_every_mask_once(num_steps, blocks):
    lengths = torch.tensor([0, 1, 5, 12])
    parts = list(reveal_schedule(lengths, num_steps, blocks))
    assert len(parts) == num_steps
    assert torch.equal(sum(count for _, _, count in parts), lengths)
    assert torch.equal(parts[-1][1], lengths)
    for (_, end, _), (start, _, _) in itertools.pairwise(parts):
        assert (start <= end).all()


def test_the_first_of_the_candidates_are_taken():
    confidence = torch.tensor([[0.9, 0.1, 0.5, 0.7], [0.2, 0.3, 0.4, 0.1]])
    candidates = torch.tensor([[False, True, True, True], [True, True, False, False]])
    found = first_of(confidence, candidates, torch.tensor([2, 5]))
    assert found.tolist() == [[False, False, True, True], [True, True, False, False]]


def test_gumbel_noise_draws_from_the_softmax_of_logits_over_temperature():
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log().expand(1, 40_000, 4)
    noise = torch.rand(logits.shape, generator=seeded(), dtype=torch.float64)
    for temperature in (1.0, 0.5):
        guess = most_confident(logits, temperature, noise)
        share = guess.token_ids[0].bincount(minlength=4) / 40_000
        expected = (logits[0, 0] / temperature).softmax(-1)
        torch.testing.assert_close(share, expected, atol=0.01, rtol=0)
        torch.testing.assert_close(
            guess.confidence.float(), logits.exp().gather(-1, guess.token_ids[..., None])[..., 0]
        )
        p = logits[0, 0].exp()
        torch.testing.assert_close(guess.entropy[0, 0], -(p * p.log()).sum())
    assert (most_confident(logits, 0.0, None).token_ids == 1).all()


def test_more_blocks_than_steps_are_refused():
    with pytest.raises(ValueError, match="num_steps must be at least one per block, got 2"):
        RemaskingConfig(num_steps=2, blocks=3)
