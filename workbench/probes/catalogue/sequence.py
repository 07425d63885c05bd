"""Probes of how latents vary along a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.probes.catalogue.entry import Probe

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.probes.inputs.probe_inputs import ProbeInputs


def _sequence_structure(inputs: ProbeInputs) -> list[Result]:
    from analyses.spaces.sequence_structure import (
        SequenceStructureConfig,
        cosine_decay,
        high_frequency_share,
        sentence_contrast,
    )

    config = SequenceStructureConfig(bootstrap=inputs.bootstrap, seed=inputs.config.seed)
    z, mask = inputs.normalised_z, inputs.mask
    return [
        cosine_decay(z, mask, config),
        sentence_contrast(z, mask, inputs.sentences, config),
        high_frequency_share(z, mask, config),
    ]


SEQUENCE = {
    "sequence_structure": Probe(
        question="do latents change smoothly along a text, and from sentence to sentence?",
        looks_at="z",
        cost="quick",
        metrics="sequence_structure",
        run=_sequence_structure,
        needs_tokens=True,
    ),
}
