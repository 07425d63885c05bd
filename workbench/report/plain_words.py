"""Measures, families and labels in plain words, for readers who never met their code names.

Every page, menu and export uses these; the code name goes along in exports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NUMBERED_LAYER = re.compile(r"\blayer(\d+)")

# Name, or its beginning up to a bracket -> what it is; the arrow points at the better end.
PLAIN_WORDS: Mapping[str, str] = {
    "reconstruction.token_accuracy": "read back, share of tokens ↑",
    "generation.grammar_sentences": "sentences that the grammar tells, share ↑",
    "generation.grammar_texts": "whole stories that the grammar tells, share ↑",
    "generation.tense_agreement": "sentences in the prompt's tense, share ↑",
    "generation.c2st": "told from human text, share (.5 is human) ↓",
    "generation.energy": "distance from human text, z (0 is human) ↓",
    "generation.mauve": "MAUVE, like human text (0 to 1) ↑",
    "generation.valid_2gram": "2-word runs seen in real text, share ↑",
    "generation.valid_3gram": "3-word runs seen in real text, share ↑",
    "generation.valid_4gram": "4-word runs seen in real text, share ↑",
    "generation.nats_per_token": "a judge's surprise, nats per token ↓",
    "generation.nats": "an outside judge's surprise, nats per token ↓",
    "generation.unigram_entropy": "variety of words, nats",
    "generation.repetition": "4-word runs said again, share ↓",
    "generation.fidelity": "the prompt's facts kept, share ↑",
    "generation.contradiction": "the prompt's facts contradicted, share ↓",
    "generation.embedding_f1": "meaning as a human's, F1 (0 to 1) ↑",
    "generation.rouge1": "words as a human's, F1 (0 to 1) ↑",
    "generation.rouge2": "word pairs as a human's, F1 (0 to 1) ↑",
    "generation.rougeL": "word order as a human's, F1 (0 to 1) ↑",
    "generation.distinct_1": "different words, share",
    "generation.distinct_2": "different 2-word runs, share",
    "generation.distinct_3": "different 3-word runs, share",
    "generation.distinct_4": "different 4-word runs, share",
    "generation.length": "length, words",
    "generation.ended": "ended by itself, share ↑",
}
# Name, or its beginning -> what a stored result is; what follows the beginning is added.
RESULTS: Mapping[str, str] = {
    "reconstruction.token_accuracy": "tokens read back",
    "knn_coherence.token.other_id": "neighbours of the same kind",
    "knn_coherence.token": "neighbours alike, same word too",
    "knn_coherence.sentence": "sentences' neighbours alike",
    "knn_coherence.text": "texts' neighbours alike",
    "linear_separability": "label read by a straight cut",
    "learnability.flow_excess": "loss of a small flow above a Gaussian guess",
    "learnability.context_r2": "foretold by the prompt, R²",
    "learnability": "foretold by the prompt",
    "velocity_information": "spread of ways, given",
    "decoder_basin.r50.isotropic": "error borne, random direction",
    "decoder_basin.r50.boundary": "error borne, towards another word",
    "decoder_basin.margin.mu": "decoder's certainty, clean latents",
    "decoder_basin.margin.sample": "decoder's certainty, noisy latents",
    "decoder_basin_flow.margin": "decoder's certainty, generated latents",
    "near_misses.rate": "words missed",
    "near_misses.same_kind": "misses of the same kind",
    "manifold_continuity.frechet": "between two texts: distance from real text",
    "manifold_continuity.nats_per_token": "between two texts: a judge's surprise",
    "manifold_continuity.valid_4gram": "between two texts: 4-word runs seen",
    "interpolation.frechet": "between two texts: distance from real text",
    "interpolation.nats_per_token": "between two texts: a judge's surprise",
    "interpolation.valid_4gram": "between two texts: 4-word runs seen",
    "interpolation": "between two texts",
    "scale.log_snr": "size against the encoder's noise",
    "floor.velocity": "loss of a Gaussian guess",
    "intrinsic_dimension.z": "directions around a word, with noise",
    "intrinsic_dimension.mu": "directions around a word, without noise",
    "intrinsic_dimension.text": "directions around a text",
    "isotropy.mean_cosine": "common direction of all latents",
    "isotropy.uniformity": "evenness of the spread",
    "latent_map.token": "faithfulness of the map of words",
    "latent_map.text": "faithfulness of the map of texts",
    "latent_map": "faithfulness of the map",
    "trajectory_map": "faithfulness of the map of paths",
    "sequence_structure.cosine_decay": "likeness fades along a text",
    "sequence_structure.high_frequency_share": "variation between direct neighbours",
    "sequence_structure.sentence_contrast": "one sentence against two",
    "alignment.linear_cka": "likeness to the teacher, all pairs (CKA)",
    "alignment.cknna": "likeness to the teacher, near pairs (CKNNA)",
    "alignment.mutual_knn": "neighbours shared with the teacher",
    "alignment": "likeness to the teacher",
    "alignment_layers.linear_cka": "likeness to one teacher layer, all pairs",
    "alignment_layers.cknna": "likeness to one teacher layer, near pairs",
    "alignment_layers.mutual_knn": "neighbours shared with one teacher layer",
    "alignment_layers": "likeness to one teacher layer",
    "parameters.vae": "size of the autoencoder",
    "trajectory.straightness": "straightness of the path",
    "trajectory.efficiency": "directness of the path",
    "trajectory.segment_ratio": "evenness of speed",
    "trajectory.off_manifold": "end of the path, distance from real latents",
    "trajectory.commit_step": "share of the steps before a word settles",
    "trajectory.fidelity_lag": "fluent before faithful, lag",
    "denoising": "readable while denoising",
    "flow_layers": "readable inside the flow",
}
FAMILIES: Mapping[str, str] = {
    "generation": "writing",
    "reconstruction": "reading back",
    "knn_coherence": "neighbours",
    "linear_separability": "straight cuts",
    "alignment": "teacher",
    "decoder_basin": "error borne",
    "intrinsic_dimension": "directions",
    "isotropy": "evenness",
    "latent_map": "map",
    "learnability": "foretold",
    "interpolation": "between texts",
    "manifold_continuity": "between texts",
    "scale": "size",
    "sequence_structure": "along a text",
    "near_misses": "misses",
    "trajectory": "paths",
    "trajectory_map": "map of paths",
    "floor": "Gaussian guess",
    "velocity_information": "ways from noise",
}
LABEL_WORDS: Mapping[str, str] = {
    "pos": "part of speech",
    "semantic_class": "kind of thing",
    "hero_kind": "kind of hero",
    "token_id": "the word itself",
}
# Label set -> class -> the class in plain words; a class that is not here is plain already.
CLASS_WORDS: Mapping[str, Mapping[str, str]] = {
    "pos": {
        "adj": "adjective",
        "adp": "preposition",
        "adv": "adverb",
        "aux": "auxiliary verb",
        "cconj": "conjunction",
        "conj": "conjunction",
        "det": "determiner",
        "intj": "interjection",
        "num": "number word",
        "part": "particle",
        "poss": "possessive",
        "pron": "pronoun",
        "propn": "name",
        "punct": "punctuation",
        "sconj": "conjunction of a clause",
        "sym": "symbol",
    },
    "semantic_class": {"function": "function word"},
}


def plain_words(metric: str) -> str:
    """A measure in plain words; its name, spaced, where there are none."""
    known = PLAIN_WORDS.get(metric.partition("[")[0])
    return known or result_words(metric.removeprefix("generation."))


def plain_names(metrics: Iterable[str]) -> dict[str, str]:
    """Scores without their family in plain words; the model in the name stays where there is one.

    Two models may make the same measure, so `energy[minilm]` keeps its bracket.
    """
    return {
        name: plain_words(f"generation.{name}") + ("" if "[" not in name else f" [{_model(name)}]")
        for name in metrics
    }


def _model(name: str) -> str:
    return name.partition("[")[2].removesuffix("]")


def result_words(name: str) -> str:
    """A stored result in plain words, with what its name adds, such as a label."""
    start = max((s for s in RESULTS if name == s or name.startswith(f"{s}.")), key=len, default="")
    rest = label_words(name.removeprefix(start).strip("."))
    if not start:
        return rest
    return f"{RESULTS[start]}: {rest}" if rest else RESULTS[start]


def family_words(family: str) -> str:
    """A family of measures in plain words."""
    return FAMILIES.get(family, family.replace("_", " "))


def class_words(label: str, name: str) -> str:
    """A class of a label set in plain words; its name where there are none."""
    return CLASS_WORDS.get(label, {}).get(name, name)


def label_words(label: str) -> str:
    """A label set in plain words; its name, spaced, where there are none."""
    spaced = _NUMBERED_LAYER.sub(r"layer \1", label)
    return LABEL_WORDS.get(label, spaced.replace("_", " ").replace(".", ", "))
