"""How texts and latent spaces are scored and probed, and the judge from outside."""

from __future__ import annotations

from dataclasses import dataclass

from models.configs.teacher import HF_PREFIX


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How generators and latent spaces are scored.

    Attributes:
        encoder: names the text embedder: `minilm` or `hf:<id or directory>`.
        mauve_buckets: clusters of MAUVE's quantisation, fixed, so that n does not matter.
        mauve_seeds: k-means seeds of MAUVE.
        bert_score: name of a model for the `bert-score` package, used instead of `encoder`.
        num_resamples: bootstrap resamples.
        probe_texts: held-out texts whose latents are probed.
        probe_tokens: tokens of these texts that token probes look at.
        neighbors: k of nearest-neighbour coherence.
        probes: which probes a study runs: `quick` or `all`.
        tiny_flow_steps: training steps of the tiny flow of probe `flow_excess`.
        seed: of resampling and subsampling.
    """

    encoder: str = "minilm"
    mauve_buckets: int = 25
    mauve_seeds: int = 5
    bert_score: str = ""
    num_resamples: int = 2000
    probe_texts: int = 600
    probe_tokens: int = 4000
    neighbors: int = 10
    probes: str = "quick"
    tiny_flow_steps: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        least_one = (
            "mauve_buckets",
            "mauve_seeds",
            "num_resamples",
            "neighbors",
            "tiny_flow_steps",
        )
        for name in least_one:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("probe_texts", "probe_tokens"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be >= 3, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.probes not in ("quick", "all"):
            raise ValueError(f"probes must be quick or all, got {self.probes!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutsideConfig:
    """A language model that never saw the corpus and judges what is written; off by default.

    Attributes:
        model: `smollm2` (`make smollm2`) or `hf:<id or directory>` of a causal model; empty is off.
        prompts: how many of the prompts it reads, the first ones; it is by far the slowest judge.
    """

    model: str = ""
    prompts: int = 100

    def __post_init__(self) -> None:
        if self.model not in ("", "smollm2") and not self.model.startswith(HF_PREFIX):
            raise ValueError(
                f"model must be smollm2, hf:<id or directory>, or empty, got {self.model!r}"
            )
        if self.prompts < 2:
            raise ValueError(f"prompts must be >= 2, got {self.prompts}")
