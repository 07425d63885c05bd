"""One table of the settings and calls that `models` refuses, each with its message.

What is impossible for any setting of its kind is tried in `tests/test_impossible_settings.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import test_dit
import test_text_vae
import torch
from test_model_contract import build_lm, token_ids

from models.attention import RotaryTable
from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.flow import (
    FlowConfig,
    GuidanceConfig,
    SamplerConfig,
    TextDiTConfig,
    TimeSamplerConfig,
)
from models.configs.language_model import CausalLMConfig
from models.configs.vae import TextVAEConfig, VAELossConfig
from models.dit import TextDiT
from models.language_model import CausalLM
from models.text_vae import TextVAE
from models.time_samplers import TimeSampler, time_grid
from models.vae_loss import vae_loss

NAN, INFINITY = float("nan"), float("inf")
dit = partial(TextDiTConfig, **test_dit.SMALL)
vae = partial(TextVAEConfig, **test_text_vae.SMALL)
lm = partial(CausalLMConfig, vocab_size=23, window=9, width=16)
common = TimeSampler(TimeSamplerConfig())
narrow = TimeSampler(TimeSamplerConfig(loc=-60.0, scale=1e-3))


def generate(width: int = 3, ctx_len: int = 2, nucleus_p: float = 1.0) -> Callable[[], Any]:
    lengths = torch.tensor([ctx_len])
    return lambda: build_lm(0).generate(
        token_ids(1, width, 23), lengths, nucleus_p, torch.Generator()
    )


def align_without_states() -> None:
    ids = token_ids(1, 12, 31)
    progress = {"step": 5, "num_steps": 10, "generator": torch.Generator()}
    config = VAELossConfig(repa_weight=1.0)
    vae_loss(test_text_vae.build(), ids, ids > 0, config, **progress)


def cross_entropy(chunk: int) -> None:
    rows = torch.ones(2, 3)
    chunked_cross_entropy(
        rows, rows, torch.zeros(2), torch.zeros(2, dtype=torch.long), torch.ones(2), chunk
    )


REFUSED = [
    (partial(dit, width=18), "width must be a multiple of 2 \\* heads, got 18 and heads 2"),
    (partial(dit, layers=0), "layers must be >= 1"),
    (partial(dit, latent_width=0), "latent_width must be >= 1"),
    (lambda: TextDiT(TextDiTConfig()), "latent_width and window must be set"),
    (partial(vae, width=15), "width must be a multiple of 2 \\* heads"),
    (partial(vae, latent_width=0), "latent_width must be >= 2"),
    (partial(vae, latent_width=1), "latent_width must be >= 2 with mu_norm 'layernorm'"),
    (partial(vae, mu_norm="batch"), "mu_norm must be one of layernorm, none, l2, got 'batch'"),
    (partial(vae, sigma_min=2.0), "sigma_min and sigma_max"),
    (partial(vae, sigma_value=0.0), "sigma_value must be > 0"),
    (partial(vae, encoder_layers=0), "encoder_layers must be >= 1"),
    (partial(vae, window=0), "window must be >= 1"),
    (partial(vae, mlp_ratio=0.0), "mlp_ratio must be > 0"),
    (lambda: TextVAE(TextVAEConfig()), "vocab_size, window and teacher_width must be set"),
    (partial(VAELossConfig, beta=-1.0), "beta must be >= 0"),
    (partial(VAELossConfig, kl_warmup_fraction=1.5), "kl_warmup_fraction must be in"),
    (partial(VAELossConfig, eot_weight=0.0), "eot_weight must be > 0"),
    (partial(VAELossConfig, chunk=0), "chunk must be >= 1"),
    (align_without_states, "repa_weight > 0 needs teacher_states"),
    (partial(cross_entropy, 0), "chunk must be >= 1, got 0"),
    (lambda: RotaryTable(4, 8)(9, torch.float32), "length 9 exceeds"),
    (partial(lm, vocab_size=1), "vocab_size must be >= 2"),
    (partial(lm, window=0), "window must be >= 1"),
    (partial(lm, layers=0), "layers must be >= 1"),
    (partial(lm, width=20, heads=3), "heads"),
    (partial(lm, mlp_ratio=0.0), "mlp_ratio"),
    (lambda: CausalLM(CausalLMConfig(window=4)), "vocab_size and window must be set"),
    *((generate(nucleus_p=p), "nucleus_p must be in") for p in (0.0, -0.5, 1.5, NAN)),
    (generate(width=10, ctx_len=1), "ctx_len must be between"),
    (generate(ctx_len=4), "ctx_len must be between"),
    (generate(ctx_len=-1), "ctx_len must be between"),
    (partial(FlowConfig, self_conditioning_prob=1.1), "self_conditioning_prob must be in"),
    (partial(FlowConfig, t_clamp=0.0), "t_clamp must be in"),
    (partial(SamplerConfig, num_steps=0), "num_steps must be >= 1, got 0"),
    (partial(SamplerConfig, name="rk4"), "name must be one of euler, heun, multistep"),
    (partial(SamplerConfig, grid="cosine"), "grid must be one of quantile, uniform"),
    (partial(SamplerConfig, churn=-0.1), "churn must be >= 0"),
    (partial(SamplerConfig, restart_t=1.0), "restart_t must lie between 0 and 1"),
    *(
        (partial(GuidanceConfig, guidance_scale=scale), "guidance_scale must be in")
        for scale in (-0.1, 2e4, NAN, INFINITY)
    ),
    (partial(GuidanceConfig, t_low=0.6, t_high=0.4), "t_low and t_high"),
    (partial(TimeSamplerConfig, name="beta"), "one of logit_normal, uniform, mode"),
    (partial(TimeSamplerConfig, scale=0.0), "scale must be > 0"),
    (partial(TimeSamplerConfig, loc=INFINITY), "loc must be finite"),
    (partial(TimeSamplerConfig, name="mode", scale=2.0), "scale must be in"),
    (partial(TimeSamplerConfig, name="mode", loc=1.0), "loc belongs to logit_normal"),
    (partial(TimeSamplerConfig, name="uniform", scale=1.0), "scale does not apply to uniform"),
    (partial(TimeSamplerConfig, shift=0.0), "shift must be > 0"),
    (lambda: time_grid("uniform", 0, common), "num_steps must be >= 1, got 0"),
    (lambda: time_grid("cosine", 4, common), "grid must be one of quantile, uniform"),
    (lambda: time_grid("quantile", 500, narrow), "repeats a time"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_refused_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
