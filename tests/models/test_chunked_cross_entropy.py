"""Chunked head and cross entropy against F.cross_entropy over all logits."""

import pytest
import torch
import torch.nn.functional as F

from models.chunked_cross_entropy import chunked_cross_entropy

N, W, V = 37, 24, 53


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn((N, W), generator=generator)
    weight = torch.randn((V, W), generator=generator) * 0.3
    bias = torch.randn(V, generator=generator)
    targets = torch.randint(0, V, (N,), generator=generator)
    weights = torch.rand(N, generator=generator)
    return hidden, weight, bias, targets, weights


def _reference(hidden, weight, bias, targets, weights):
    nll = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="none")
    return (nll * weights).sum() / weights.sum(), nll


def _gradients(loss, *tensors):
    return torch.autograd.grad(3.0 * loss, tensors)


@pytest.mark.parametrize("chunk", [1, 10, N, 1000])
def test_loss_and_gradients_match_in_float32(problem, chunk):
    hidden, weight, bias, targets, weights = problem
    leaves = [x.requires_grad_() for x in (hidden, weight, bias)]
    result = chunked_cross_entropy(hidden, weight, bias, targets, weights, chunk)
    loss, nll = _reference(*problem)
    torch.testing.assert_close(result.loss, loss)
    torch.testing.assert_close(result.nll, nll.detach())
    actual, expected = _gradients(result.loss, *leaves), _gradients(loss, *leaves)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_gradient_error_in_bfloat16_is_below_the_goal(problem):
    hidden, weight, bias, targets, weights = problem
    leaves = [x.requires_grad_() for x in (hidden, weight, bias)]
    with torch.autocast("cpu", torch.bfloat16):
        result = chunked_cross_entropy(hidden, weight, bias, targets, weights, 16)
    assert result.nll.dtype == torch.float32
    actual = _gradients(result.loss, *leaves)
    expected = _gradients(_reference(*problem)[0], *leaves)
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() / b.norm() < 5e-3


def test_gradient_flows_to_bfloat16_hidden_states(problem):
    hidden, weight, bias, targets, weights = problem
    hidden = hidden.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        chunked_cross_entropy(hidden, weight, bias, targets, weights).loss.backward()
    assert hidden.grad.dtype == torch.bfloat16
    assert hidden.grad.abs().sum() > 0


def test_correct_flags_are_the_argmax(problem):
    hidden, weight, bias, targets, weights = problem
    best = F.linear(hidden, weight, bias).argmax(-1)
    targets = torch.where(torch.arange(N) % 2 == 0, best, targets)
    correct = chunked_cross_entropy(hidden, weight, bias, targets, weights, 8).correct
    assert torch.equal(correct, best == targets)
    assert correct.any()
    assert not correct.all()


def test_no_gradient_is_built_without_grad_mode(problem):
    with torch.no_grad():
        result = chunked_cross_entropy(*problem)
    assert not result.loss.requires_grad


def test_all_weights_zero_is_a_finite_zero(problem):
    hidden, weight, bias, targets, weights = problem
    hidden.requires_grad_()
    result = chunked_cross_entropy(hidden, weight, bias, targets, torch.zeros_like(weights))
    result.loss.backward()
    assert result.loss == 0
    assert (hidden.grad == 0).all()
