"""GPT-2: a causal Transformer with learnt positions, written token by token from a nucleus.

Radford et al. 2019: pre-norm blocks with affine layer norms, GELU in its tanh form, a head tied to
the token embedding, residual maps initialised smaller with depth. Deviation: no dropout.
Parameters have the names of transformers' `GPT2LMHeadModel`, whose logits it has for the same
weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import attend, prepare_mask
from models.causal import CausalModel, prepend_eot
from models.configs.generators import NucleusConfig, TokenNetworkConfig
from models.generators.writing import WritingStep, state_halfway
from models.hub import PretrainedMixin
from models.joined_linear import JoinedLinear
from models.key_value_cache import KeyValueCache
from models.layers import compute_dtype

NORM_EPS = 1e-5
INIT_STD = 0.02


class GPT2(CausalModel, PretrainedMixin):
    """GPT-2 over corpus tokens.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.

    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """

    config_type = TokenNetworkConfig

    def __init__(self, config: TokenNetworkConfig, generator: torch.Generator | None = None):
        super().__init__()
        vocabulary, self.window = config.sizes
        self.config = config
        self.num_layers = config.layers
        self.wte = nn.Embedding(vocabulary, config.width)
        # One position more than the window: the end-of-text token in front.
        self.wpe = nn.Embedding(self.window + 1, config.width)
        hidden = int(config.width * config.mlp_ratio)
        self.h = nn.ModuleList(
            _Block(config.width, config.heads, hidden) for _ in range(config.layers)
        )
        self.ln_f = nn.LayerNorm(config.width, eps=NORM_EPS)
        self._initialise(generator)

    def head(self) -> tuple[Tensor, Tensor]:
        weight = self.wte.weight
        return weight, weight.new_zeros(len(weight))

    def training_loss(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross entropy in nats per predicted token; nothing is drawn."""
        return {"loss": self.loss(token_ids, mask)}

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Token embeddings, and the states halfway, which have seen what is before them."""
        inputs = prepend_eot(token_ids)
        middle = state_halfway(self.h, lambda: self._hidden(inputs))
        return {"embeddings": self.wte(token_ids), "middle": middle[:, 1:]}

    def write(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: NucleusConfig,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """One token a step; a text's random numbers are the first of its generator."""
        positions = torch.arange(self.window, device=prompt_ids.device)
        draws = torch.zeros(prompt_ids.shape)
        for row, generator in enumerate(generators):
            draws[row] = torch.rand(self.window, generator=generator)
        draws = draws.to(prompt_ids.device)
        given = positions < ctx_len[:, None]
        token_ids, nfe = torch.where(given, prompt_ids, 0), 0
        entropy = torch.full(given.shape, torch.nan, device=given.device)
        most = self.window + 1 - int(ctx_len.min()) if len(ctx_len) else 1
        draws = draws.to(given.device)
        for step in self.write_tokens(prompt_ids, ctx_len, sampling.nucleus, draws):
            nfe += 1
            token_ids = torch.where(given | (positions <= step.position), step.token_ids, 0)
            written = given | (positions <= step.position)
            now = torch.special.entr(step.logits.softmax(dim=-1)).sum(dim=-1)  # (B,)
            entropy = torch.where(~given & (positions == step.position), now[:, None], entropy)
            yield WritingStep(token_ids, written, entropy, nfe / most, nfe)
        yield WritingStep(token_ids, torch.ones_like(given), entropy, 1.0, nfe)

    def _hidden(self, inputs: Tensor) -> Tensor:
        x, mask = self._embed(inputs, 0)
        for block in self.h:
            x = block(x, mask)
        return self.ln_f(x)

    def _last_hidden(self, new: Tensor, cache: KeyValueCache) -> Tensor:
        x, mask = self._embed(new, cache.length)
        for layer, block in enumerate(self.h):
            x = block(x, mask, cache, layer)
        cache.advance(new.shape[1])
        return self.ln_f(x[:, -1])

    def _embed(self, new: Tensor, past: int) -> tuple[Tensor, Tensor | None]:
        """States (B, n, W) of tokens at the positions after `past`, and their causal mask.

        A single new token sees everything before it and needs no mask.
        """
        batch, length = new.shape
        if past + length > self.window + 1:
            raise ValueError(
                f"length {past + length} exceeds the model's window of {self.window} positions "
                "and the one in front"
            )
        positions = torch.arange(past, past + length, device=new.device)
        x = self.wte(new) + self.wpe(positions)
        if length == 1:
            return x, None
        assert past == 0
        allowed = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        mask = prepare_mask(allowed.expand(batch, 1, -1, -1), self.config.heads, compute_dtype(x))
        return x, mask

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        residual = INIT_STD / (2 * self.num_layers) ** 0.5
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = residual if name.endswith("c_proj") else INIT_STD
                nn.init.normal_(module.weight, std=std, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); both norms have gain and offset."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = _Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = _Mlp(width, hidden)

    def forward(
        self, x: Tensor, mask: Tensor | None, cache: KeyValueCache | None = None, layer: int = 0
    ) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask, cache, layer)
        return x + self.mlp(self.ln_2(x))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = JoinedLinear(width, width, parts=3)
        self.c_proj = nn.Linear(width, width)

    def forward(
        self, x: Tensor, mask: Tensor | None, cache: KeyValueCache | None, layer: int
    ) -> Tensor:
        """Mix positions of x (B, n, W), and with a cache those before them."""
        batch, length, width = x.shape
        heads = self.c_attn(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).contiguous()  # (B, H, n, C) each
        if cache is not None:
            k, v = cache.append(layer, k, v)
        mixed = attend(q * (width // self.heads) ** -0.5, k, v, mask)
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


def from_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a transformers GPT-2 (with or without head) as a `GPT2` has them.

    Its maps are stored transposed, and its tied head a second time.
    """
    maps = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    plain = {name.removeprefix("transformer."): value for name, value in weights.items()}
    return {
        name: value.T.contiguous() if name.endswith(maps) else value
        for name, value in plain.items()
        if name != "lm_head.weight" and not name.endswith((".attn.bias", ".masked_bias"))
    }
