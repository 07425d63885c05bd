"""Probes of neighbourhoods: coherence with labels, and alignment with a teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.catalogue.entry import Probe, named, or_without_labels, with_detail

if TYPE_CHECKING:
    from analyses.result import Result
    from analyses.spaces.alignment import AlignmentConfig
    from analyses.spaces.knn_coherence import Level
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.probes.inputs.teacher_inputs import TeacherTable

MEASURES = ("linear_cka", "cknna", "mutual_knn")
ALIGNED_TOKENS = 800


def _knn_coherence(inputs: ProbeInputs) -> list[Result]:
    results = []
    for label_set, labels in inputs.token_labels.items():
        tokens = inputs.tokens
        token = _Level("token", label_set, tokens.z, labels, groups=tokens.texts)
        other_id = replace(token, level="token.other_id", exclude=tokens.token_ids)
        results += [token.coherence(inputs), other_id.coherence(inputs)]
    for label_set in inputs.text_labels if inputs.per_token else ():
        sentences = inputs.sentence_table
        labels = sentences.labels[label_set]
        # Sentences of one text share its label, so they do not count as neighbours.
        own = sentences.texts
        level = _Level("sentence", label_set, sentences.features, labels, exclude=own, groups=own)
        results.append(level.coherence(inputs))
    for label_set, labels in inputs.text_labels.items():
        level = _Level("text", label_set, inputs.text_features, labels)
        results.append(level.coherence(inputs))
    return or_without_labels(results, "knn_coherence")


@dataclass(frozen=True)
class _Level:
    """Rows of one kind with one label set; see `analyses.spaces.knn_coherence`."""

    level: Level
    label_set: str
    features: np.ndarray
    labels: np.ndarray
    exclude: np.ndarray | None = None
    groups: np.ndarray | None = None

    def coherence(self, inputs: ProbeInputs) -> Result:
        from analyses.spaces.knn_coherence import KnnCoherenceConfig, knn_coherence

        config = KnnCoherenceConfig(
            level=self.level,
            k=inputs.config.neighbors,
            num_permutations=40,
            bootstrap=inputs.bootstrap,
        )
        result = knn_coherence(
            self.features, self.labels, config, exclude=self.exclude, groups=self.groups
        )
        return named(result, f"{result.name}.{self.label_set}")


def alignments(
    features: np.ndarray, other: np.ndarray, config: AlignmentConfig
) -> dict[str, Result]:
    """Debiased linear CKA, CKNNA and mutual kNN of two spaces of the same items, by name."""
    from analyses.spaces.alignment import cknna, linear_cka, mutual_knn

    return {
        "linear_cka": linear_cka(features, other, config),
        "cknna": cknna(features, other, config),
        "mutual_knn": mutual_knn(features, other, config),
    }


def alignment_config(inputs: ProbeInputs) -> AlignmentConfig:
    """Neighbours, half samples and seed from the run's evaluation settings."""
    from analyses.spaces.alignment import AlignmentConfig
    from analyses.statistics.half_samples import HalfSampleConfig

    return AlignmentConfig(
        k=max(2, inputs.config.neighbors),
        half_samples=HalfSampleConfig(num_resamples=20, seed=inputs.config.seed),
        seed=inputs.config.seed,
    )


def _alignment(inputs: ProbeInputs) -> list[Result]:
    from workbench.probes.inputs.teacher_inputs import stored_layer, teacher_run_config

    config = teacher_run_config(inputs.run.study)
    if config is None:
        return _no_teacher("alignment", inputs)
    table = stored_layer(inputs, config)
    return [
        named(result, f"alignment.{measure}")
        for measure, result in _with_teacher(inputs, table, config.teacher.layer).items()
    ]


def _alignment_layers(inputs: ProbeInputs) -> list[Result]:
    from workbench.probes.inputs.teacher_inputs import several_layers, teacher_run_config

    config = teacher_run_config(inputs.run.study)
    if config is None:
        return _no_teacher("alignment_layers", inputs)
    table = several_layers(inputs, config)
    return [
        named(result, f"alignment_layers.{measure}.layer{layer}")
        for layer in table.states
        for measure, result in _with_teacher(inputs, table, layer).items()
    ]


def _with_teacher(inputs: ProbeInputs, table: TeacherTable, layer: int) -> dict[str, Result]:
    """Alignment of posterior means with one layer, on up to 800 tokens of whole texts."""
    kept = slice(0, ALIGNED_TOKENS)
    found = alignments(
        inputs.tokens.normalised_mu[table.rows[kept]],
        table.states[layer][kept],
        alignment_config(inputs),
    )
    return {
        measure: with_detail(result, teacher=table.name, layer=layer)
        for measure, result in found.items()
    }


def _no_teacher(prefix: str, inputs: ProbeInputs) -> list[Result]:
    from analyses.result import undefined

    reason = "no arm of the study aligns with a teacher"
    n = len(inputs.tokens.mu)
    return [undefined(f"{prefix}.{measure}", reason, n) for measure in MEASURES]


NEIGHBORHOODS = {
    "knn_coherence": Probe(
        question="do nearest neighbours share a label?",
        looks_at="z (sentences and texts: mean mu)",
        cost="quick",
        metrics="knn_coherence",
        run=_knn_coherence,
    ),
    "alignment": Probe(
        question="how similar are latents and the study's teacher at the layer that REPA uses?",
        looks_at="mu",
        cost="quick",
        metrics="alignment",
        run=_alignment,
        needs=("teacher",),
        needs_tokens=True,
    ),
    "alignment_layers": Probe(
        question="which of the teacher's layers do the latents resemble?",
        looks_at="mu",
        cost="full",
        metrics="alignment_layers",
        run=_alignment_layers,
        needs=("teacher",),
        needs_tokens=True,
    ),
}
