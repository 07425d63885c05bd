"""Everything that a probe may read: a run's space, its flow, and a judge of texts."""

from __future__ import annotations

from functools import cached_property

from workbench.probes.inputs.flow_inputs import FlowInputs
from workbench.probes.inputs.run_inputs import RunInputs
from workbench.probes.inputs.text_scores import TextScores


class ProbeInputs(RunInputs):
    """Inputs shared by the catalogue's probes; each part is made on first use."""

    @cached_property
    def flow(self) -> FlowInputs:
        """What the run's flow does with held-out prompts and latents."""
        return FlowInputs(self)

    @cached_property
    def text_scores(self) -> TextScores:
        """Scores of any texts: nats per token, valid n-grams, embeddings."""
        return TextScores(self.run.study, self.place)
