"""How much each term of a loss contributes to the gradient of what the terms share.

The gradient of every weighted term is taken at one shared activation, where all of them meet. The
known terms are differentiated beforehand through their own small graphs; what the real backward
pass brings beyond them belongs to the remaining term, since gradients add. So the costly term (here
the decoder's) is never differentiated twice, and the gradient that trains is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def watch_gradient_shares(shared: Tensor, terms: Sequence[Tensor | None]) -> Tensor:
    """Measure gradient norms during the next backward pass through `shared`.

    The share of a term is its gradient's Euclidean norm over the sum of all norms. In bfloat16 the
    remaining term is known to about 1 % of the whole gradient, in float32 exactly enough.

    Args:
        shared: an activation with gradient that every term depends on.
        terms: weighted scalar terms, as the loss adds them; None for one that is not in the loss.

    Returns:
        (1 + len(terms),) float32 shares that sum to 1: first of what else the loss holds, then of
        the terms; NaN for a term that is None. All NaN until the backward pass has filled it.

    Source: norms of weighted terms: Chen et al. 2018 (GradNorm), arXiv 1711.02257, eq. 1, there at
        the last shared weights; at the shared representation instead, which costs less: Sener and
        Koltun 2018, arXiv 1810.04650, section 3.3.
    """
    shares = torch.full((1 + len(terms),), torch.nan, device=shared.device)
    known = [
        None
        if term is None
        else torch.autograd.grad(term, shared, retain_graph=True)[0].detach().float()
        for term in terms
    ]

    def fill(total: Tensor) -> None:
        rest = total.detach().float() - sum(grad for grad in known if grad is not None)
        nothing = shares.new_tensor(torch.nan)
        norms = [nothing if grad is None else grad.norm() for grad in (rest, *known)]
        total_norm = torch.stack(norms).nansum()
        shares.copy_(torch.stack(norms) / total_norm)

    shared.register_hook(fill)
    return shares
