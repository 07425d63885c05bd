"""Alignment losses: cosine and Gram against direct formulas, gradients, and the weight's course."""

import pytest
import torch
import torch.nn.functional as F

from models.alignment_loss import gram_error, masked_cosine, repa_weight_at
from models.configs.vae import VAELossConfig

VALID = torch.tensor([[True, True, False, True], [False, True, False, False], [True] * 4])


@pytest.fixture
def states():
    generator = torch.Generator().manual_seed(0)
    student = torch.randn((3, 4, 5), generator=generator).requires_grad_()
    return student, torch.randn((3, 4, 7), generator=generator)


def test_repa_weight_warms_up_and_stops():
    config = VAELossConfig(repa_weight=2.0, repa_warmup_steps=4, repa_stop_step=8)
    assert [repa_weight_at(config, step) for step in (0, 2, 4, 7, 8, 9)] == [0, 1, 2, 2, 0, 0]
    assert repa_weight_at(VAELossConfig(), 3) == 0.0


def test_repa_weight_decays_linearly_before_it_stops():
    config = VAELossConfig(repa_weight=2.0, repa_stop_step=8, repa_decay_steps=4)
    expected = [2.0, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    assert [repa_weight_at(config, step) for step in (0, 4, 5, 6, 7, 8, 9)] == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alignment": "grm"}, "alignment must be one of cosine, gram, got 'grm'"),
        ({"alignment": "gram", "gram_texts": 0}, "gram_texts must be >= 1, got 0"),
        ({"gram_texts": 2}, r"gram_texts \(2\) needs alignment 'gram', got 'cosine'"),
        ({"repa_decay_steps": -1}, "repa_decay_steps must be >= 0, got -1"),
        ({"repa_decay_steps": 5}, r"repa_decay_steps \(5\) must not exceed .*, got None"),
        ({"repa_decay_steps": 5, "repa_stop_step": 4}, "must not exceed repa_stop_step, got 4"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        VAELossConfig(**wrong)


def test_masked_cosine_ignores_invalid_rows_even_nan():
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn((2, 3, 5), generator=generator, requires_grad=True)
    teacher = torch.randn((2, 3, 5), generator=generator)
    valid = torch.tensor([[True, True, False], [False, True, False]])
    expected = F.cosine_similarity(projected[valid], teacher[valid], dim=-1).mean()
    teacher[~valid] = torch.nan
    cosine = masked_cosine(projected, teacher, valid)
    torch.testing.assert_close(cosine, expected)
    cosine.backward()
    assert torch.isfinite(projected.grad).all()
    assert (projected.grad[~valid] == 0).all()
    assert masked_cosine(projected, teacher, torch.zeros_like(valid)) == 0


@pytest.mark.parametrize("texts", [1, 2, 5])
def test_gram_error_is_the_mean_over_pairs_and_then_over_groups(states, texts):
    """One text's own positions, those of two together (the last group has one), of all."""
    student, teacher = states
    per_group = []
    for start in range(0, len(student), texts):
        rows = VALID[start : start + texts].nonzero().tolist()
        x = [student[start + text, place] for text, place in rows]
        y = [teacher[start + text, place] for text, place in rows]
        squared = [
            (F.cosine_similarity(x[i], x[j], dim=0) - F.cosine_similarity(y[i], y[j], dim=0)) ** 2
            for i in range(len(x))
            for j in range(len(x))
            if i != j
        ]
        if squared:  # one text has no pair
            per_group.append(torch.stack(squared).mean())
    expected = torch.stack(per_group).mean()
    torch.testing.assert_close(gram_error(student, teacher, VALID, texts), expected)


def test_gram_error_is_zero_for_the_same_structure_in_another_width_and_scale(states):
    _, teacher = states
    wider = torch.nn.init.orthogonal_(torch.empty(9, 7), generator=torch.Generator().manual_seed(1))
    student = 3.0 * teacher @ wider.T
    every = torch.ones_like(VALID)
    assert gram_error(student, teacher, every) < 1e-10
    assert gram_error(student + 1.0, teacher, every) > 1e-3


def test_gram_error_ignores_invalid_rows_even_nan_and_moves_the_student(states):
    student, teacher = states
    teacher[~VALID] = torch.nan
    error = gram_error(student, teacher, VALID)
    error.backward()
    assert torch.isfinite(student.grad).all()
    assert (student.grad[~VALID] == 0).all()
    assert (student.grad[0][VALID[0]] != 0).any()
    moved = student.detach() - 0.5 * student.grad
    assert gram_error(moved, teacher, VALID) < error
    assert gram_error(student, teacher, torch.zeros_like(VALID)) == 0


def test_gram_error_is_exact_under_autocast(states):
    student, teacher = states
    plain = gram_error(student, teacher, VALID)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gram_error(student, teacher, VALID), plain)
