"""One entry of the probes' catalogue, and what the entries share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs

# quick: part of every study; full: by `probe` or `evaluation.probes: all`; request: when named.
Cost = Literal["quick", "full", "request"]
# What a probe reads besides latents and VAE, and so what its cached result stands on.
Need = Literal["flow", "samples", "teacher", "judge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One entry of the catalogue.

    Attributes:
        question: what it asks, in a line.
        looks_at: which latents; `z` is what the flow learns, posterior samples or means.
        cost: when it runs.
        metrics: what the names of its numbers in a comparison begin with.
        run: from a run's arrays to results.
        needs: what it reads besides latents and VAE.
        is_picture: its number says how far a picture can be trusted, nothing about the space.
    """

    question: str
    looks_at: str
    cost: Cost
    metrics: str
    run: Callable[[ProbeInputs], list[Result]]
    needs: tuple[Need, ...] = ()
    is_picture: bool = False

    @property
    def can_foretell(self) -> bool:
        """Whether it measures the space, before any flow is trained on it."""
        return not self.is_picture and not {"flow", "samples"} & set(self.needs)


def named(result: Result, name: str) -> Result:
    """The same result under another name."""
    return replace(result, name=name)


def or_without_labels(results: list[Result], name: str) -> list[Result]:
    """The results, or the reason why a corpus without labels has none."""
    from analyses.result import undefined

    return results or [undefined(name, "the corpus has no labels of this kind", 0)]


def with_detail(result: Result, **more: object) -> Result:
    """The same result with more detail."""
    return replace(result, detail={**result.detail, **more})
