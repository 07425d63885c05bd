"""The causal LM: parity of loss, cache and states with the full forward; sampling; saving."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.causal import prepend_eot
from models.configs.language_model import CausalLMConfig
from models.configs.teacher import TeacherConfig
from models.key_value_cache import KeyValueCache
from models.language_model import CausalLM
from models.nucleus_sampling import sample_nucleus
from models.teachers import OwnBackbone, load_teacher

VOCABULARY, WINDOW = 23, 12
LENGTHS = torch.tensor([12, 5, 0, 9])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    config = CausalLMConfig(
        vocab_size=VOCABULARY, window=WINDOW, width=32, layers=2, heads=4, init_std=1.0
    )
    model = CausalLM(config, seeded())
    with torch.no_grad():  # a sharper distribution than that of initial weights
        model.token_embedding.weight.mul_(20)
        model.head_bias.normal_(generator=seeded(1))
    return model.eval()


@pytest.fixture
def batch():
    mask = torch.arange(WINDOW) < LENGTHS[:, None]
    token_ids = torch.randint(1, VOCABULARY, mask.shape, generator=seeded())
    return token_ids.masked_fill(~mask, 0), mask


def full_logits(model: CausalLM, token_ids: torch.Tensor) -> torch.Tensor:
    """Logits (B, L + 1, V) of the token after each position, from the plain forward."""
    hidden = model._hidden(prepend_eot(token_ids))
    return hidden @ model.token_embedding.weight.T + model.head_bias


def test_loss_is_the_cross_entropy_over_texts_and_one_end_each(model, batch):
    token_ids, mask = batch
    log_probs = full_logits(model, token_ids)
    terms = []
    for text, length, logits in zip(token_ids, LENGTHS, log_probs, strict=True):
        targets = text[: min(int(length) + 1, WINDOW)]  # the full text has no end of its own
        terms.append(F.cross_entropy(logits[: len(targets)], targets, reduction="none"))
    torch.testing.assert_close(model.loss(token_ids, mask), torch.cat(terms).mean())


def test_loss_reaches_the_weights_and_overfits_one_batch(batch):
    config = CausalLMConfig(vocab_size=VOCABULARY, window=WINDOW, width=32)
    model = CausalLM(config, seeded())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.loss(*batch)
        loss.backward()
        optimizer.step()
    # Every text is distinct, but the first token has to be guessed among four.
    assert loss.item() < 0.35


def test_untrained_it_knows_nothing_and_is_sure_of_nothing(batch):
    """Its first loss is that of a uniform guess; embeddings of a std of 1 would make it more."""
    sizes = {"vocab_size": VOCABULARY, "window": WINDOW, "width": 128}
    uniform = np.log(VOCABULARY)
    assert CausalLM(CausalLMConfig(**sizes), seeded()).loss(*batch).item() < 1.1 * uniform
    former = CausalLM(CausalLMConfig(**sizes, init_std=1.0), seeded())
    assert former.loss(*batch).item() > 3 * uniform


@pytest.mark.parametrize("ctx_len", [[0, 0, 0, 0], [3, 5, 0, 8], [12, 2, 0, 1]])
def test_nats_per_token_are_those_of_the_continuation_alone(model, batch, ctx_len):
    token_ids, mask = batch
    found = model.nats_per_token(token_ids, mask, torch.tensor(ctx_len))
    log_probs = full_logits(model, token_ids)
    for row, given in enumerate(ctx_len):
        end = min(int(LENGTHS[row]) + 1, WINDOW)
        if given >= end:
            assert found[row].isnan()
            continue
        expected = F.cross_entropy(log_probs[row, given:end], token_ids[row, given:end])
        torch.testing.assert_close(found[row], expected.double(), atol=1e-5, rtol=1e-5)


def test_the_future_and_the_padding_change_nothing_before_them(model, batch):
    token_ids, _ = batch
    changed = token_ids.clone()
    changed[:, 6:] = 7
    before, after = model.hidden_states(token_ids), model.hidden_states(changed)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one[:, :6], other[:, :6])
    assert not torch.allclose(before[-1][0, 6:], after[-1][0, 6:], atol=1e-2)


def test_hidden_states_feed_the_head_and_count_the_embedding_as_layer_0(model, batch):
    token_ids, _ = batch
    states = model.hidden_states(token_ids)
    assert len(states) == model.num_layers + 1
    assert all(state.shape == (4, WINDOW, 32) for state in states)
    logits = states[-1] @ model.token_embedding.weight.T + model.head_bias
    torch.testing.assert_close(logits, full_logits(model, token_ids)[:, 1:])
    same_token = token_ids == token_ids[0, 0]
    assert torch.allclose(states[0][same_token], states[0][0, 0])


@pytest.mark.parametrize("nucleus_p", [1.0, 0.8, 1e-9])
@pytest.mark.parametrize("ctx_len", [[0, 3, 5, 2], [4, 4, 4, 4]])
def test_generation_with_the_cache_equals_full_forwards(model, batch, nucleus_p, ctx_len):
    prompt, lengths = batch[0][:, :6].clamp(min=1), torch.tensor(ctx_len)
    found = model.generate(prompt, lengths, nucleus_p, seeded(4))
    draws = torch.rand((4, WINDOW), generator=seeded(4))
    expected = torch.zeros(4, WINDOW, dtype=torch.long)
    for row, given in enumerate(ctx_len):
        expected[row, :given] = prompt[row, :given]
        for position in range(given, WINDOW):
            logits = full_logits(model, expected[row : row + 1, :position])[:, -1]
            token = sample_nucleus(logits, nucleus_p, draws[row, position : position + 1])
            expected[row, position] = token
            if token == 0:
                break
    assert torch.equal(found, expected)
    assert (expected != 0).any()


@pytest.mark.parametrize("prefill", [0, 1, 5])
def test_logits_with_the_cache_equal_those_of_the_full_forward(model, batch, prefill):
    token_ids = batch[0]
    cache = KeyValueCache(model.num_layers, WINDOW + 1)
    with torch.inference_mode():
        expected = full_logits(model, token_ids)
        found = model._next_logits(prepend_eot(token_ids[:, :prefill]), cache)
        torch.testing.assert_close(found, expected[:, prefill], rtol=1e-4, atol=5e-4)
        for position in range(prefill, WINDOW):
            found = model._next_logits(token_ids[:, position : position + 1], cache)
            torch.testing.assert_close(found, expected[:, position + 1], rtol=1e-4, atol=5e-4)


def test_generation_under_bfloat16_runs_and_keeps_prompts(model, batch):
    prompt = batch[0][:, :4].clamp(min=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.generate(prompt, torch.full((4,), 4), 0.95, seeded())
    assert torch.equal(found[:, :4], prompt)


def test_a_text_does_not_depend_on_its_neighbours(model, batch):
    prompt = batch[0][:, :6].clamp(min=1)
    one = model.generate(prompt, torch.tensor([5, 5, 5, 5]), 0.9, seeded())
    other = model.generate(prompt, torch.tensor([5, 0, 1, 2]), 0.9, seeded())
    assert torch.equal(one[0], other[0])


def test_prompts_as_long_as_the_window_come_back_unchanged(model):
    prompt = torch.randint(1, VOCABULARY, (2, WINDOW), generator=seeded())
    assert torch.equal(model.generate(prompt, torch.tensor([WINDOW] * 2), 1.0, seeded()), prompt)
    empty = torch.zeros(0, 3, dtype=torch.long)
    assert model.generate(empty, empty[:, 0], 1.0, seeded()).shape == (0, WINDOW)


def test_nucleus_sampling_has_the_truncated_distribution():
    probabilities = torch.tensor([0.1, 0.5, 0.15, 0.25])
    draws = (torch.arange(20_000) + 0.5) / 20_000
    logits = probabilities.log().expand(len(draws), -1)
    for nucleus_p, kept in ((1.0, [0, 1, 2, 3]), (0.8, [1, 2, 3]), (0.75, [1, 3]), (0.4, [1])):
        share = sample_nucleus(logits, nucleus_p, draws).bincount(minlength=4) / len(draws)
        expected = torch.zeros(4)
        expected[kept] = probabilities[kept] / probabilities[kept].sum()
        torch.testing.assert_close(share, expected, atol=1e-3, rtol=0)


class CharacterEncoding:
    """Every character its own token."""

    def __init__(self, text: str) -> None:
        self.token_ids = np.array([1 + ord(letter) % (VOCABULARY - 1) for letter in text])
        self.offsets = np.stack([np.arange(len(text)), np.arange(1, len(text) + 1)], axis=1)


def test_own_teacher_hands_out_the_models_states(model, monkeypatch):
    monkeypatch.setattr("models.precision.has_fast_bfloat16", lambda device: False)
    backbone = OwnBackbone(model, lambda texts: [CharacterEncoding(text) for text in texts])
    teacher = load_teacher(TeacherConfig(name="own", layer=-2), own=backbone)
    assert teacher.num_layers == 2
    texts = ["anna ran", "no", "a text beyond the window"]
    encodings = [CharacterEncoding(text) for text in texts]
    found = teacher.token_states(texts, [encoding.offsets for encoding in encodings])
    assert found.valid.tolist() == [True] * (8 + 2 + WINDOW) + [False] * (len(texts[2]) - WINDOW)
    alone = model.hidden_states(torch.from_numpy(encodings[0].token_ids)[None])[1][0]
    torch.testing.assert_close(found.states[-2][:8], alone)
