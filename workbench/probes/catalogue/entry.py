"""One entry of the probe catalogue, and helpers that the entries share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.train.adapters import Adapter

# quick: part of every study; full: by `probe` or `evaluation.probes: all`; request: when named.
Cost = Literal["quick", "full", "request"]
# What a probe reads besides latents and VAE; part of its result's fingerprint.
Need = Literal["flow", "samples", "teacher", "judge"]
# What a probe reads of a decoder -> the function of an adapter that gives it.
DECODING = {"texts": "decode", "logits": "logits"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One entry of the catalogue.

    Attributes:
        question: what it asks, in one line.
        looks_at: which latents; `z` is what the flow learns: posterior samples or means.
        cost: when it runs.
        metrics: prefixes of its numbers' names in a comparison.
        run: takes a run's arrays and returns results.
        needs: what it reads besides latents and VAE.
        needs_models: whether it trains, which a bundle of latents cannot.
        decodes: what it needs of a decoder; empty where it decodes nothing.
        needs_tokens: whether it needs one latent per token.
        is_picture: its number says how far to trust a picture, and nothing about the space.
    """

    question: str
    looks_at: str
    cost: Cost
    metrics: str
    run: Callable[[ProbeInputs], list[Result]]
    needs: tuple[Need, ...] = ()
    needs_models: bool = False
    decodes: Literal["", "texts", "logits"] = ""
    needs_tokens: bool = False
    is_picture: bool = False

    @property
    def can_foretell(self) -> bool:
        """Whether it measures the space alone, without a trained flow."""
        return not self.is_picture and not {"flow", "samples"} & set(self.needs)

    def lacks(self, bundle: Mapping[str, Any], adapter: Adapter | None = None) -> str | None:
        """Why it is not defined for an arm from this bundle; None if it is."""
        if self.needs_models or {"flow", "samples"} & set(self.needs):
            return "the arm came from a bundle: latents without models"
        if self.decodes and adapter is None:
            if "adapter_sha256" in bundle.get("provenance", {}):
                return "it decodes: run `probe` with --adapter FILE, the arm's own"
            return "the arm came from a bundle: latents without models"
        if self.decodes and adapter is not None and not adapter.can(DECODING[self.decodes]):
            return f"it reads {self.decodes}: the adapter has no {DECODING[self.decodes]}(z, mask)"
        if self.needs_tokens and not bundle["per_token"]:
            return "the bundle has one latent per text, none per token"
        return None


def named(result: Result, name: str) -> Result:
    """The same result under another name."""
    return replace(result, name=name)


def or_without_labels(results: list[Result], name: str) -> list[Result]:
    """The results, or an undefined result saying that the corpus has no labels."""
    from analyses.result import undefined

    return results or [undefined(name, "the corpus has no labels of this kind", 0)]


def with_detail(result: Result, **more: object) -> Result:
    """The same result with more detail."""
    return replace(result, detail={**result.detail, **more})
