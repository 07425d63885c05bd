"""Everything that a probe may look at: a run's space, its flow, and a judge of texts."""

from __future__ import annotations

from functools import cached_property

from workbench.probes.inputs.flow_inputs import FlowInputs
from workbench.probes.inputs.run_inputs import RunInputs
from workbench.probes.inputs.text_scores import TextScores


class ProbeInputs(RunInputs):
    """What probes of the catalogue share; every part is made when first asked for."""

    @cached_property
    def flow(self) -> FlowInputs:
        """What the run's flow makes of held-out prompts and latents."""
        return FlowInputs(self)

    @cached_property
    def text_scores(self) -> TextScores:
        """Scores of any texts: nats per token, valid n-grams, embeddings."""
        return TextScores(self.run.study, self.place)
