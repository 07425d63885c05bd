"""Continuing a text to 512 tokens: the latent flow, our GPT-2 and transformers', of equal size.

All networks are untrained, since cost does not depend on what is written; both GPT-2s have the same
weights and never end a text early. Costs are milliseconds per token. Of the flow's 50 evaluations
of a large batch a few are timed and multiplied, as each costs the same; encoding the prompt and
reading the end are timed in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.guided_sampling import lively
from benchmarks.measuring import Costs, Ratio, Row, Setting, costs_of, ratio_of_costs, repeating
from benchmarks.workload import Workload, open_workload
from models.configs.flow import GuidanceConfig, SamplerConfig
from models.configs.generators import TokenNetworkConfig
from models.dit import TextDiT
from models.generators.gpt2 import GPT2, from_transformers
from models.guidance import Guidable, Guided
from models.samplers import euler
from models.text_vae import TextVAE
from workbench.sample.generator import Generator, starting_noise
from workbench.sample.prompts import Prompts

WINDOW, QUICK_WINDOW, PROMPT = 512, 48, 32
EVALUATIONS = 50
TIMED = {1: 10, 64: 2}  # batch -> evaluations that are timed
NUCLEUS = 0.95
CHECKED_TOKENS = 16
LARGEST_SIZE_GAP = 0.1


def writing(setting: Setting) -> Iterator[Row]:
    """Cost per token at batch 1 and 64, of the flow and of our GPT-2, against transformers' own."""
    workload = open_workload(setting.directory)
    window = QUICK_WINDOW if setting.quick else WINDOW
    own, theirs = two_gpt2s(vocabulary(workload), window)
    for batch, timed in TIMED.items():
        latent = LatentWriter.of(workload, window, batch)
        prompts = torch.from_numpy(latent.prompts.token_ids[:, :PROMPT])
        flow, ours = _ratios(latent, timed, own, theirs, prompts, setting)
        equal, greedy = size_gap(latent, theirs), equal_greedily(own, theirs, prompts)
        stage = f"{window - PROMPT} tokens after {PROMPT}, batch {batch}"
        peer = "GPT-2 of equal size, transformers' generate with its cache"
        yield Row(
            stage=f"{stage}, latent flow, {EVALUATIONS} evaluations",
            peer=peer,
            ratio=flow,
            goal=2.0,
            gate=f"parameters differ by {100 * equal:.0f} %, at most {100 * LARGEST_SIZE_GAP:.0f}",
            gate_passed=equal <= LARGEST_SIZE_GAP,
            unit="ms/token",
        )
        yield Row(
            stage=f"{stage}, our GPT-2",
            peer=peer,
            ratio=ours,
            goal=None,
            gate=f"both write the same {CHECKED_TOKENS} likeliest tokens",
            gate_passed=greedy,
            unit="ms/token",
        )


@dataclass(frozen=True)
class LatentWriter:
    """An untrained autoencoder and flow of the demo's sizes, and prompts of 32 random tokens."""

    generator: Generator
    field: Guidable
    prompts: Prompts
    noise: Tensor

    @classmethod
    def of(cls, workload: Workload, window: int, batch: int) -> LatentWriter:
        """Networks for texts of `window` tokens, and a batch of prompts."""
        drawn = torch.Generator().manual_seed(0)
        vae = TextVAE(replace(workload.vae().config, window=window), drawn).eval()
        dit = lively(TextDiT(replace(workload.dit().config, window=window), drawn)).eval()
        pair = Generator(vae, dit, workload.config.flow, False, workload.place, 1.0)
        ids = np.random.default_rng(0).integers(1, vocabulary(workload), (batch, window))
        ids[:, PROMPT:] = 0
        prompts = Prompts(ids, np.full(batch, PROMPT), np.arange(batch), [""] * batch)
        noise = starting_noise(pair, prompts, 0)
        return cls(pair, pair.field(prompts)[0], prompts, noise)

    def evaluate(self, count: int) -> None:
        """The first `count` of the flow's steps."""
        self.field.reset()
        times = self.generator.times(SamplerConfig(num_steps=EVALUATIONS))[: count + 1]
        for step in euler(Guided(self.field, GuidanceConfig()), self.noise, times):
            assert step.z_t.shape == self.noise.shape

    def rest(self) -> None:
        """What is done once: encode the prompt and read the end."""
        self.generator.field(self.prompts)
        self.generator.read(self.noise, self.prompts)


def vocabulary(workload: Workload) -> int:
    """Tokens of the corpus."""
    size = workload.vae().config.vocab_size
    assert size is not None
    return size


def two_gpt2s(vocab_size: int, window: int) -> tuple[GPT2, Any]:
    """Our GPT-2 and transformers' with the same weights, of an arm's size as in `families`.

    The end-of-text token gets a logit far below the others: an offset of the last norm that its
    embedding points away from.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    width, layers, heads = 192, 5, 6
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=window + 1,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=0,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        theirs.transformer.ln_f.bias.fill_(0.1)
        theirs.transformer.wte.weight[0] = -1.0
    sizes = TokenNetworkConfig(
        vocab_size=vocab_size, window=window, width=width, layers=layers, heads=heads
    )
    own = GPT2(sizes).eval()
    own.load_state_dict(from_transformers(theirs.state_dict()))
    return own, theirs


def write(own: GPT2, prompts: Tensor, nucleus: float = NUCLEUS) -> Tensor:
    """Texts (B, window) of our GPT-2."""
    lengths = torch.full((len(prompts),), prompts.shape[1])
    return own.generate(prompts, lengths, nucleus, torch.Generator().manual_seed(0))


@torch.inference_mode()
def generate(theirs: Any, prompts: Tensor, count: int, *, sample: bool = True) -> Tensor:
    """Prompts and `count` more tokens, by transformers; its first token is end-of-text, as ours."""
    inputs = torch.cat([prompts.new_zeros(len(prompts), 1), prompts], dim=1)
    return theirs.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=sample,
        top_p=NUCLEUS if sample else None,
        top_k=0 if sample else None,
        max_new_tokens=count,
        min_new_tokens=count,
        pad_token_id=0,
        eos_token_id=None,
        use_cache=True,
    )[:, 1:]


def equal_greedily(own: GPT2, theirs: Any, prompts: Tensor) -> bool:
    """Whether both write the same tokens, each time the likeliest one."""
    expected = generate(theirs, prompts[:2], CHECKED_TOKENS, sample=False)
    found = write(own, prompts[:2], nucleus=1e-9)
    return torch.equal(found[:, : expected.shape[1]], expected)


def size_gap(latent: LatentWriter, theirs: nn.Module) -> float:
    """How many more or fewer parameters the latent pair has than GPT-2, as a share."""
    own, other = (
        sum(weight.numel() for model in models for weight in model.parameters())
        for models in ((latent.generator.vae, latent.generator.dit), (theirs,))
    )
    return abs(own / other - 1)


def _ratios(
    latent: LatentWriter, timed: int, own: GPT2, theirs: Any, prompts: Tensor, setting: Setting
) -> tuple[Ratio, Ratio]:
    """Of the flow and of our GPT-2, by turns with the peer."""
    count = own.window - prompts.shape[1]
    per_token = 1000 / (count * len(prompts))
    flow, ours, peers = Costs(), Costs(), Costs()
    for _ in repeating(setting.repeats(5)):
        steps, rest = costs_of(lambda: latent.evaluate(timed)), costs_of(latent.rest)
        share = EVALUATIONS / timed
        flow.append((share * steps[0] + rest[0], share * steps[1] + rest[1]))
        ours.append(costs_of(lambda: write(own, prompts)))
        peers.append(costs_of(lambda: generate(theirs, prompts, count)))
    flow, ours, peers = (
        [(wall * per_token, used * per_token) for wall, used in costs]
        for costs in (flow, ours, peers)
    )
    return ratio_of_costs(flow, peers), ratio_of_costs(ours, peers)
