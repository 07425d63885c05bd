"""What every family of generators promises when it writes, and each family's own formulas."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.causal import prepend_eot
from models.configs.generators import (
    EmbeddingSamplingConfig,
    NucleusConfig,
    RemaskingConfig,
    TokenNetworkConfig,
)
from models.generators.diffusion_lm import posterior, sqrt_schedule
from models.generators.families import FAMILIES
from models.generators.gpt2 import GPT2, from_transformers
from models.generators.masked_diffusion import (
    LEAST_RATE,
    MaskedDiffusion,
    first_of,
    most_confident,
    reveal_schedule,
)
from models.key_value_cache import KeyValueCache
from models.noise import normal_like, uniform

VOCABULARY, WINDOW = 19, 12
CTX_LEN = torch.tensor([0, 5, 12, 3])
SAMPLING: dict[str, Any] = {
    "llada": {"num_steps": 6, "blocks": 2},
    "diffusion-lm": {"num_steps": 6},
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sizes(name: str) -> Any:
    return FAMILIES[name].network(vocab_size=VOCABULARY, window=WINDOW, width=32, layers=2)


def build(name: str, seed: int = 0) -> Any:
    model = FAMILIES[name].model()(sizes(name), seeded(seed)).eval()
    with torch.no_grad():  # confidences that differ by more than rounding does
        for parameter in model.parameters():
            if parameter.shape == (VOCABULARY + 1, 32):
                parameter.mul_(20)
    return model


def prompts() -> Tensor:
    return torch.randint(1, VOCABULARY, (4, WINDOW), generator=seeded(3))


def write(name: str, rows: slice = slice(None), seed: int = 7, **options: Any) -> list[Any]:
    model, sampling = build(name), FAMILIES[name].sampling(**{**SAMPLING.get(name, {}), **options})
    generators = [seeded(seed + row) for row in range(4)][rows]
    return list(model.write(prompts()[rows], CTX_LEN[rows], sampling, generators))


@pytest.mark.parametrize("name", FAMILIES)
def test_writing_keeps_prompts_and_fills_the_window(name):
    steps = write(name)
    last = steps[-1]
    given = torch.arange(WINDOW) < CTX_LEN[:, None]
    assert last.token_ids.shape == (4, WINDOW)
    assert torch.equal(last.token_ids[given], prompts()[given])
    assert last.written.all()
    assert last.t == 1.0
    assert ((last.token_ids >= 0) & (last.token_ids < VOCABULARY)).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_written_stays_and_only_grows(name):
    steps = write(name)
    assert len({len({step.t for step in steps}), len(steps)}) == 1
    for before, after in itertools.pairwise(steps):
        assert before.t < after.t
        assert before.nfe <= after.nfe
        assert (after.written | ~before.written).all()
        assert torch.equal(before.token_ids[before.written], after.token_ids[before.written])


@pytest.mark.parametrize("name", FAMILIES)
def test_entropies_are_told_where_something_was_predicted(name):
    steps, given = write(name), torch.arange(WINDOW) < CTX_LEN[:, None]
    for step in steps:
        assert step.entropy[given].isnan().all()
        known = step.entropy[~step.entropy.isnan()]
        assert ((known >= 0) & (known <= math.log(VOCABULARY) + 1e-4)).all()
    assert not steps[-1].entropy[1, 5:].isnan().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_text_depends_on_its_own_prompt_and_generator_alone(name):
    together = write(name)[-1].token_ids
    for row in range(4):
        alone = write(name, slice(row, row + 1))[-1].token_ids
        assert torch.equal(alone[0], together[row])
    # An untrained denoiser goes to one token from any noise, but not at its first step.
    pairs = zip(write(name), write(name, seed=70), strict=False)
    assert any(not torch.equal(one.token_ids, other.token_ids) for one, other in pairs)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_full_window_costs_nothing_and_an_empty_batch_is_one(name):
    (step,) = write(name, slice(2, 3))
    assert (step.nfe, step.t) == (0, 1.0)
    assert torch.equal(step.token_ids, prompts()[2:3])
    assert write(name, slice(0, 0))[-1].token_ids.shape == (0, WINDOW)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_overfits_one_batch(name):
    model = FAMILIES[name].model()(sizes(name), seeded())
    token_ids = prompts().repeat(8, 1)
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(150):
        optimizer.zero_grad()
        loss = model.training_loss(token_ids, mask, seeded(step))["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Masks of a whole text, and the first token, leave two bits to guess.
    assert sum(losses[-20:]) / 20 < 0.3 * losses[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_setting_of_writing_does_something(name):
    """Each option is moved, and the texts, the steps or the evaluations move."""
    changes = {"nucleus": 0.2, "num_steps": 4, "blocks": 1, "temperature": 0.0, "guidance_scale": 3,
               "clamp": False}  # fmt: skip
    usual = write(name)
    for option in FAMILIES[name].options():
        changed = write(name, **{option: changes[option]})
        same = torch.equal(changed[-1].token_ids, usual[-1].token_ids)
        assert not same or changed[-1].nfe != usual[-1].nfe, option


# GPT-2


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Any:
    """A small model as transformers saves and loads it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=WINDOW + 1, n_embd=32, n_layer=2, n_head=4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = GPT2LMHeadModel(config)
        for module in model.modules():  # gains and offsets that a mix-up would show
            if isinstance(module, torch.nn.LayerNorm):
                torch.nn.init.normal_(module.weight)
                torch.nn.init.normal_(module.bias)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return GPT2LMHeadModel.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def own(reference) -> GPT2:
    sizes = TokenNetworkConfig(vocab_size=VOCABULARY, window=WINDOW, width=32, layers=2)
    model = GPT2(sizes).eval()
    model.load_state_dict(from_transformers(reference.state_dict()))
    return model


def test_gpt2_has_the_logits_of_transformers(reference, own):
    inputs = prepend_eot(prompts())
    with torch.inference_mode():
        expected = reference(inputs).logits
        weight, bias = own.head()
        found = own._hidden(inputs) @ weight.T + bias
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefill", [0, 1, 5])
def test_gpt2_has_them_with_its_cache(reference, own, prefill):
    token_ids = prompts()
    with torch.inference_mode():
        expected = reference(prepend_eot(token_ids)).logits
        cache = KeyValueCache(own.num_layers, WINDOW + 1)
        found = own._next_logits(prepend_eot(token_ids[:, :prefill]), cache)
        torch.testing.assert_close(found, expected[:, prefill], rtol=1e-4, atol=1e-4)
        for position in range(prefill, WINDOW):
            found = own._next_logits(token_ids[:, position : position + 1], cache)
            torch.testing.assert_close(found, expected[:, position + 1], rtol=1e-4, atol=1e-4)


def test_gpt2_loss_is_that_of_transformers_on_full_windows(reference, own):
    token_ids = prompts()
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    inputs = prepend_eot(token_ids)
    expected = reference(inputs, labels=inputs).loss
    torch.testing.assert_close(own.training_loss(token_ids, mask, seeded())["loss"], expected)


def test_gpt2_starts_as_its_paper_says():
    model = build("gpt2")
    assert model.h[0].attn.c_proj.weight.std().item() == pytest.approx(0.02 / 2, rel=0.1)
    assert model.h[0].attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_gpt2_writes_what_transformers_would_take_greedily(reference, own):
    sampling = NucleusConfig(nucleus=1e-9)
    found = list(own.write(prompts(), CTX_LEN, sampling, [seeded() for _ in range(4)]))[-1]
    expected = torch.zeros_like(prompts())
    for row, given in enumerate(CTX_LEN):
        expected[row, :given] = prompts()[row, :given]
        for position in range(int(given), WINDOW):
            with torch.inference_mode():
                logits = reference(prepend_eot(expected[row : row + 1, :position])).logits
            expected[row, position] = logits[0, -1].argmax()
            if expected[row, position] == 0:
                break
    assert torch.equal(found.token_ids, expected)


# Masked diffusion


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


# Diffusion-LM


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


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_without_its_sizes_is_refused(name):
    for field in ("vocab_size", "window"):
        with pytest.raises(ValueError, match="vocab_size and window must be set"):
            FAMILIES[name].model()(dataclasses.replace(sizes(name), **{field: None}))


def test_more_blocks_than_steps_are_refused():
    with pytest.raises(ValueError, match="num_steps must be at least one per block, got 2"):
        RemaskingConfig(num_steps=2, blocks=3)


def test_the_documents_table_is_the_code():
    """docs/GENERATORS.md has one row per family, and its cells say what the entry says."""
    lines = (Path(__file__).parents[2] / "docs/GENERATORS.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    found = {cells[0].strip("`"): cells[2:] for cells in rows[2:] if cells[0].startswith("`")}
    assert found == {
        name: [
            ", ".join(f"`{option}`" for option in family.options()),
            "yes" if "guidance_scale" in family.options() else "no",
            "yes" if family.learns_padding else "no",
        ]
        for name, family in FAMILIES.items()
    }
