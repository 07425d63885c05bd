"""SSD-LM: its schedule, noise, projections and blocks against direct formulas."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from toy_families import CTX_LEN, VOCABULARY, WINDOW, build, prompts, seeded

from models.configs.generators import SimplexSamplingConfig
from models.generators.ssd_lm import almost_one_hot, cosine_schedule, nucleus_signs
from models.noise import normal_like, uniform
from models.nucleus_sampling import sample_nucleus


def test_the_noise_follows_the_cosine():
    found = cosine_schedule(5000)
    r = [math.cos((t / 5000 + 1e-4) / (1 + 1e-4) * math.pi / 2) ** 2 for t in (0, 1000, 2500, 5000)]
    assert found[[0, 1000, 2500, 5000]].tolist() == pytest.approx([v / r[0] for v in r], abs=1e-7)
    assert (found[0], found[-1] < 1e-12, (found.diff() < 0).all()) == (1.0, True, True)


def test_a_token_is_k_at_its_place_and_minus_k_elsewhere():
    logits = almost_one_hot(torch.tensor([[2, 0]]), 4, 5.0)
    assert logits.tolist() == [[[-5, -5, 5, -5], [5, -5, -5, -5]]]
    signs = nucleus_signs(torch.tensor([0.1, 0.5, 0.15, 0.25]).log(), 0.7)
    assert signs.tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize("block_size", [5, WINDOW])
def test_the_loss_is_the_formula(block_size):
    """Cross entropy of one block from noisy logits behind clean text, text by text.

    With a block of the window's length that is all of what follows: the unblocked model.
    """
    model, token_ids = build("ssd-lm", block_size=block_size), prompts()
    found = model.training_loss(token_ids, token_ids > 0, seeded(5))["loss"]
    generator = seeded(5)
    start = (uniform((4, 1), token_ids, generator) * WINDOW).long()[:, 0].tolist()
    level = 1 + (uniform((4,), token_ids, generator) * 5000).long()
    places = torch.tensor(start)[:, None] + torch.arange(block_size)
    meant = token_ids.gather(1, places.clamp(max=WINDOW - 1))
    clean = 10.0 * F.one_hot(meant, VOCABULARY) - 5
    abar = cosine_schedule(5000)[level][:, None, None]
    z = abar.sqrt() * clean + (1 - abar).sqrt() * 5 * normal_like(clean, generator)
    nll = []
    for row, cut in enumerate(start):
        end = min(cut + block_size, WINDOW)
        one = slice(row, row + 1)
        # Cut off behind the block: nothing there may be seen.
        logits = model.logits(token_ids[one, :end], z[one], level[one], torch.tensor([cut]))
        text = token_ids[row, cut:end]
        nll.append(F.cross_entropy(logits[0, : end - cut], text, reduction="none"))
    torch.testing.assert_close(found, torch.cat(nll).mean(), rtol=1e-4, atol=1e-5)


def test_a_block_is_read_at_its_places_and_the_text_before_it():
    """The states of the block against the network written out, position by position."""
    model, token_ids = build("ssd-lm", block_size=5), prompts()[:1]
    z, level = 5 * torch.randn(1, 5, VOCABULARY, generator=seeded(1)), torch.tensor([700])
    embedding = model.token_embedding.weight
    t = model.t_embedder(1 - level / 5000)
    noisy = z[0].softmax(dim=-1) @ embedding + 0.02 * t + model.roles.weight[0]
    clean = embedding[token_ids[0, :4]] + model.roles.weight[1]
    x = F.layer_norm(torch.cat([clean, noisy]), (32,))[None]
    rope = model.rotary(9, torch.float32)
    for block in model.blocks:
        x = block(x, rope, None)
    expected = F.layer_norm(x, (32,))[:, 4:] @ embedding.T + model.head_bias
    found = model.logits(token_ids, z, level, torch.tensor([4]))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("projection", ["sampled", "multi-hot"])
@pytest.mark.parametrize("block_size", [5, WINDOW])
def test_writing_equals_the_description(projection, block_size):
    """Algorithm 2, one text at a time; with one long block, diffusion without blocks."""
    model = build("ssd-lm", block_size=block_size)
    sampling = SimplexSamplingConfig(num_steps=4, projection=projection, nucleus=0.6)
    generators = [seeded(row) for row in range(4)]
    found = list(model.write(prompts(), CTX_LEN, sampling, generators))[-1].token_ids
    levels = [5000, 3750, 2500, 1250, 0]
    abar, noise_shape = cosine_schedule(5000), (model.block_size, VOCABULARY)
    with torch.inference_mode():
        for row, cut in enumerate(CTX_LEN.tolist()):
            generator, text = seeded(row), prompts()[row : row + 1].clone()
            text[:, cut:] = 0
            for start in range(cut, WINDOW, block_size):
                end = min(start + block_size, WINDOW)
                z = 5 * torch.randn(noise_shape, generator=generator)[None]
                for level, lower in itertools.pairwise(levels):
                    logits = model.logits(text, z, torch.tensor([level]), torch.tensor([start]))
                    draws = torch.rand(model.block_size, generator=generator)
                    if projection == "multi-hot":
                        tokens = logits[0].argmax(dim=-1)
                        clean = 5 * nucleus_signs(logits, 0.6)
                    else:
                        tokens = sample_nucleus(logits[0], 0.6, draws)
                        clean = 10.0 * F.one_hot(tokens, VOCABULARY)[None] - 5
                    noise = 5 * torch.randn(noise_shape, generator=generator)[None]
                    z = abar[lower].sqrt() * clean + (1 - abar[lower]).sqrt() * noise
                tokens = tokens[: end - start]
                text[0, start:end] = tokens
                if (tokens == 0).any():
                    break
            assert torch.equal(found[row : row + 1], text)
