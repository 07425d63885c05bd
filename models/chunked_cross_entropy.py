"""Vocabulary head and cross entropy in one pass, without ever holding all logits.

The gradient of softmax cross entropy is known as soon as the logits are, so each chunk of
positions yields its loss *and* its share of the three gradients, and its logits are dropped.
Memory is chunk * V instead of several times N * V. Source: the idea of "cut"/"linear cross
entropy" (Wijmans et al. 2024, arXiv 2411.09009; Liger-Kernel 2410.10989), in plain PyTorch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.layers import compute_dtype


class CrossEntropy(NamedTuple):
    """Weighted mean loss () with its gradient; `nll` (N,) float32 and `correct` (N,) without."""

    loss: Tensor
    nll: Tensor
    correct: Tensor


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Cross entropy whose forward also accumulates the gradients of hidden, weight and bias."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor,
        chunk: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dtype = compute_dtype(hidden)
        head, offset = weight.to(dtype), bias.to(dtype)
        wants_grad = any(ctx.needs_input_grad[:3])
        shares = weights.float() / weights.float().sum().clamp_min(1e-12)  # (N,)
        nll = torch.empty(targets.shape, dtype=torch.float32, device=hidden.device)
        correct = torch.empty_like(targets, dtype=torch.bool)
        if wants_grad:
            grad_hidden = torch.empty_like(hidden)
            grad_weight = torch.zeros_like(weight, dtype=torch.float32)
            grad_bias = torch.zeros_like(bias, dtype=torch.float32)
        for start in range(0, targets.shape[0], chunk):
            part = slice(start, start + chunk)
            rows, target = hidden[part].to(dtype), targets[part].unsqueeze(1)
            logits = torch.addmm(offset, rows, head.t()).float()  # (chunk, V)
            best = logits.argmax(-1, keepdim=True)
            correct[part] = (best == target).squeeze(1)
            probs = logits.softmax(-1)
            # The log-sum-exp through the largest probability, which cannot underflow.
            total = logits.gather(1, best) - probs.gather(1, best).log()
            nll[part] = (total - logits.gather(1, target)).squeeze(1)
            if not wants_grad:
                continue
            grad = probs.scatter_add_(1, target, torch.full_like(target, -1, dtype=probs.dtype))
            grad = grad.mul_(shares[part].unsqueeze(1)).to(dtype)
            grad_hidden[part] = grad @ head
            grad_weight += grad.t() @ rows
            grad_bias += grad.sum(0, dtype=torch.float32)
        if wants_grad:
            ctx.save_for_backward(
                grad_hidden, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype)
            )
        ctx.mark_non_differentiable(nll, correct)
        return (nll * shares).sum(), nll, correct

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        grads = [grad * grad_loss.to(grad.dtype) for grad in ctx.saved_tensors]
        return (*grads, None, None, None)


def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    weights: Tensor,
    chunk: int = 256,
) -> CrossEntropy:
    """Compute the weighted mean of softmax cross entropy of `hidden @ weight.T + bias`.

    Under autocast the logits and gradients are matrix products in autocast's dtype; sums and
    logarithms are float32. The gradient is computed in the forward pass; differentiable once.

    Args:
        hidden: (N, W) decoder states.
        weight: (V, W) head.
        bias: (V,) head.
        targets: (N,) int64 token ids in [0, V).
        weights: (N,) weight of each position, >= 0; only ratios matter. All 0 gives loss 0.
        chunk: positions at a time, >= 1; the logits held are (chunk, V).

    Returns:
        The loss in nats, and per position the nll in nats and whether the argmax was right.

    Raises:
        ValueError: if `chunk` is below 1.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be >= 1, got {chunk}")
    return CrossEntropy(*_ChunkedCrossEntropy.apply(hidden, weight, bias, targets, weights, chunk))
