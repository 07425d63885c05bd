"""Block diffusion: one pass for all blocks, one long block, and texts that end early."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toy_families import CTX_LEN, VOCABULARY, WINDOW, build, prompts, seeded

from models.configs.generators import BlockRemaskingConfig, RemaskingConfig
from models.generators.block_diffusion import BlockDiffusion, stream_mask
from models.generators.masked_diffusion import MaskedDiffusion, Reading
from models.generators.writing import WritingStep
from models.key_value_cache import KeyValueCache
from models.noise import uniform


@pytest.mark.parametrize("block_size", [1, 5, 12])
def test_all_blocks_in_one_pass_are_the_blocks_one_by_one(block_size):
    """Cross entropy at masks over the block's own rate; each block alone, behind clean text."""
    model, token_ids = build("block-diffusion", block_size=block_size), prompts()
    found = model.training_loss(token_ids, token_ids > 0, seeded(5))["loss"]
    generator, blocks = seeded(5), -(-WINDOW // block_size)
    p_mask = (1 - 1e-3) * uniform((4, blocks), token_ids, generator) + 1e-3
    u = uniform((4, WINDOW), token_ids, generator)
    total = torch.tensor(0.0)
    for block in range(blocks):
        start, end = block * block_size, min((block + 1) * block_size, WINDOW)
        own = slice(start, end)
        masked = u[:, own] < p_mask[:, block : block + 1]
        seen = token_ids[:, :end].clone()
        seen[:, own] = torch.where(masked, model.mask_id, seen[:, own])
        logits = model.logits(seen)[:, own]
        nll = F.cross_entropy(logits.transpose(1, 2), token_ids[:, own], reduction="none")
        total = total + (nll * masked / p_mask[:, block : block + 1]).sum()
    torch.testing.assert_close(found, total / (4 * WINDOW))


@pytest.mark.parametrize("block_size", [WINDOW, 100])
def test_one_block_of_the_windows_length_is_the_masked_model(block_size):
    blocked, plain = build("block-diffusion", block_size=block_size), build("llada")
    losses = [m.training_loss(prompts(), prompts() > 0, seeded(5)) for m in (blocked, plain)]
    assert torch.equal(losses[0]["loss"], losses[1]["loss"])
    for num_steps, temperature in ((5, 1.0), (3, 0.0), (20, 0.5)):
        ways = {"num_steps": num_steps, "temperature": temperature}
        samplings = BlockRemaskingConfig(**ways), RemaskingConfig(**ways, blocks=1)
        one, other = (
            list(model.write(prompts(), CTX_LEN, sampling, [seeded(row) for row in range(4)]))
            for model, sampling in zip((blocked, plain), samplings, strict=True)
        )
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert torch.equal(mine.token_ids, its.token_ids)
            assert (mine.t, mine.nfe) == (its.t, its.nfe)


def test_a_block_sees_itself_and_what_is_finished_before_it():
    model, changed = build("block-diffusion"), prompts()
    changed[:, 5:10] = model.mask_id
    first, second = model.logits(prompts()), model.logits(changed)
    assert torch.equal(first[:, :5], second[:, :5])
    assert not torch.allclose(first[:, 10:], second[:, 10:])
    allowed = stream_mask(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 1]))
    assert allowed.int().tolist() == [
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 1],
    ]


@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_kept_keys_and_values_change_nothing(block_size, monkeypatch):
    """Every step tells the open block what a pass over the whole text tells it, at its cost."""
    model, sampling = build("block-diffusion", block_size=block_size), BlockRemaskingConfig()
    ctx_len = CTX_LEN.clamp(min=1)  # masks that see nothing else are told alike but for rounding
    seen = []

    def written() -> list[WritingStep]:
        return list(model.write(prompts(), ctx_len, sampling, [seeded(row) for row in range(4)]))

    def watched(token_ids: Tensor, cache: KeyValueCache) -> Reading:
        seen.append((token_ids.clone(), BlockDiffusion._open_block(model, token_ids, cache)))
        return seen[-1][1]

    monkeypatch.setattr(model, "_open_block", watched)
    kept = written()
    assert {int(found.predicted.sum()) for _, found in seen} <= {block_size, WINDOW % block_size}
    for token_ids, found in seen:
        with torch.inference_mode():
            expected = model.logits(token_ids)[:, found.predicted]
        torch.testing.assert_close(found.logits[:, found.predicted], expected)
    monkeypatch.setattr(
        model, "_reader", lambda given, sampling: MaskedDiffusion._reader(model, given, sampling)
    )
    plain = written()
    assert len(kept) == len(plain) == len(seen)
    for mine, its in zip(kept, plain, strict=True):
        assert torch.equal(mine.written, its.written)
        assert torch.equal(mine.token_ids[mine.written], its.token_ids[its.written])
        assert (mine.t, mine.nfe) == (its.t, its.nfe)
        known = ~mine.entropy.isnan()
        torch.testing.assert_close(mine.entropy[known], its.entropy[known])


def test_a_text_that_has_ended_costs_nothing_more(monkeypatch):
    """End-of-text in the first block: the rest is filled, after that block's steps alone."""
    model = build("block-diffusion")
    monkeypatch.setattr(
        model,
        "_token_logits",
        lambda hidden: (
            F.one_hot(torch.zeros(hidden.shape[:2], dtype=torch.long), VOCABULARY) * 50.0
        ),
    )
    sampling = BlockRemaskingConfig(num_steps=2)
    steps = list(model.write(prompts()[:1], torch.tensor([2]), sampling, [seeded()]))
    assert [step.nfe for step in steps] == [1, 2]
    assert [step.t for step in steps] == [1 / 6, 1.0]
    assert steps[-1].written.all()
    assert (steps[-1].token_ids[:, 2:] == 0).all()
