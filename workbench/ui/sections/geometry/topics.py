"""Sections of the page Geometry; each appears where its results are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from workbench.report.findings import Number
from workbench.report.findings.shown import probe_numbers
from workbench.ui.sections.geometry.drawing import ProbedArms
from workbench.ui.sections.geometry.sentence_gradient import show_gradient
from workbench.ui.sections.shared.over_training import (
    any_measure_numbers,
    courses,
    measures,
    show_any_measure,
)

OFF_MANIFOLD = "trajectory.off_manifold"


@dataclass(frozen=True)
class Section:
    """How a section is shown, and the names that its results begin with.

    Attributes:
        prefixes: of the results.
        show: draws it.
        always: whether it has something to show where no result is stored.
        when: decides in place of stored results, where what is shown is kept elsewhere.
        numbers: of a finding, where what is shown is kept elsewhere.
    """

    prefixes: tuple[str, ...]
    show: Callable[[ProbedArms], None]
    always: bool = False
    when: Callable[[ProbedArms], bool] | None = None
    numbers: Callable[[ProbedArms], list[Number]] | None = None

    def kept(self, probed: ProbedArms) -> list[Number]:
        """What a finding of it keeps."""
        if self.numbers is not None:
            return self.numbers(probed)
        return probe_numbers(probed.results, probed.selection.seed, self.prefixes)

    def is_stored(self, probed: ProbedArms) -> bool:
        """Whether it can be shown."""
        if self.when is not None:
            return self.when(probed)
        return self.always or any(
            name.startswith(self.prefixes) and result.get("score") is not None
            for own in probed.results.values()
            for name, result in own.items()
        )


def _spectrum(probed: ProbedArms) -> None:
    values = probed.detail("floor.velocity", "eigenvalues")
    probed.curves(
        {arm: (range(1, len(v) + 1), v) for arm, v in values.items()},
        "spectrum",
        "Variance along each principal direction of the normalised latents. A flat line uses all "
        "directions alike; a steep one leaves most of them empty, and a flow has less to learn.",
        x="principal direction",
        y="variance (normalised units, squared)",
    )
    ranks = probed.detail("scale.log_snr", "effective_rank")
    for column, (arm, rank) in zip(st.columns(max(1, len(ranks))), ranks.items(), strict=False):
        column.metric(f"effective rank of mu, {arm}", f"{rank:.1f} directions")


def _scale(probed: ProbedArms) -> None:
    kl = probed.detail("scale.log_snr", "kl_by_channel")
    probed.curves(
        {arm: (range(1, len(v) + 1), sorted(v, reverse=True)) for arm, v in kl.items()},
        "kl",
        "KL divergence of posterior from prior: the nats of information in each channel, largest "
        "first. A channel near zero carries nothing, for the posterior fell back to its prior.",
        x="channel, by size",
        y="KL (nats per token)",
    )
    probed.dots(
        ("scale.log_snr",),
        "log-snr",
        "ln E[mu²] / E[sigma²] (nats)",
        "How large meanings are against the posterior's own noise. Very high: the decoder never "
        "saw a latent that was off. Very low: noise drowns the meaning.",
    )


def _floors(probed: ProbedArms) -> None:
    from analyses.spaces.velocity_floor import floor_curve

    values = probed.detail("floor.velocity", "eigenvalues")
    t = np.linspace(0.0, 0.95, 60)
    probed.curves(
        {arm: (t.tolist(), floor_curve(np.array(v), t).tolist()) for arm, v in values.items()},
        "velocity-floor",
        "The loss that the best guesser reaches who knows the covariance and nothing else. Two "
        "spaces with different curves have losses that may not be compared.",
        x="flow time t, 0 = noise",
        y="velocity variance left (per element)",
    )
    probed.dots(
        ("floor.velocity",),
        "floor",
        "velocity loss (per element)",
        "Averaged over the training times; the chance mark is that of a space of unit covariance.",
    )


def _basin(probed: ProbedArms) -> None:
    for kind, words in (
        ("isotropic", "in a random direction"),
        ("boundary", "towards another word"),
    ):
        radii = probed.detail(f"decoder_basin.r50.{kind}", "radii")
        rates = probed.detail(f"decoder_basin.r50.{kind}", "flip_rate")
        if rates:
            probed.curves(
                {arm: ([0, *radii[arm]], [0, *rates[arm]]) for arm in rates},
                f"basin-{kind}",
                f"Share of words read differently when every latent moves {words}. The farther "
                "right a curve rises, the more a generator's error is forgiven.",
                x="radius (latent standard deviations)",
                y="share of words that flip",
                level=("half", 0.5),
            )
    probed.dots(
        ("decoder_basin.margin", "decoder_basin_flow.margin"),
        "margin",
        "lead of the first choice (nats)",
        "How sure the decoder is, on clean latents and on those that the flow hands it.",
    )


def _between(probed: ProbedArms) -> None:
    curve = probed.detail("manifold_continuity.frechet", "curve")
    if curve:
        probed.curves(
            {
                arm: ([float(a) for a in points], [p["frechet"] for p in points.values()])
                for arm, points in curve.items()
            },
            "interpolation",
            "Fréchet distance (between the means and spreads of sentence embeddings) of decoded "
            "texts from real ones on the way to a near neighbour. At 0.5, the middle, a rise is a "
            "hole in the space; the other half is the same way from the neighbour's side.",
            x="share of the neighbour",
            y="Fréchet distance",
        )
    show_gradient(probed.selection)


def _sequence(probed: ProbedArms) -> None:
    curve = probed.detail("sequence_structure.cosine_decay", "curve")
    chance = probed.detail("sequence_structure.cosine_decay", "chance_curve")
    if curve:
        probed.curves(
            {arm: (range(1, len(v) + 1), v) for arm, v in curve.items()},
            "cosine-decay",
            "How alike two words of a text are by their distance in it, beside shuffled texts. "
            "High at 1 with a slow decay: latents tell of their surroundings. A bump is a word "
            "that comes again: in the demo's stories, full stops stand some 9 words apart.",
            x="distance (words)",
            y="mean cosine",
            chance={arm: (range(1, len(v) + 1), v) for arm, v in chance.items()},
        )
    probed.dots(
        ("sequence_structure.sentence", "sequence_structure.high"),
        "sequence",
        "score",
        "Contrast: words of one sentence against words of two. High-frequency share: how much of "
        "the variation along a text is between direct neighbours.",
    )


def _dimension(probed: ProbedArms) -> None:
    probed.dots(
        ("intrinsic_dimension.",),
        "dimension",
        "dimensions (TwoNN)",
        "TwoNN: directions that a point's neighbours spread in, from the ratio of its distances "
        "to the nearest two. The chance mark is a Gaussian cloud of the same covariance; fewer: "
        "the latents lie on a thinner sheet.",
    )
    probed.dots(
        ("isotropy.",),
        "isotropy",
        "score",
        "Mean cosine: 0 = no common direction. Uniformity: lower = spread more evenly.",
    )


def _information(probed: ProbedArms) -> None:
    probed.dots(
        ("velocity_information.",),
        "velocity-information",
        "velocity variance left",
        "How much of the velocity stays unknown when a label, or the context, is given; the chance "
        "mark is for shuffled labels. What lies well below it helps the flow.",
    )
    probed.dots(
        ("learnability.",),
        "learnability",
        "score",
        "How much of the target a simple map of the context foretells.",
    )


def _alignment(probed: ProbedArms) -> None:
    probed.dots(
        ("alignment.", "alignment_layers."),
        "alignment",
        "alignment with the teacher",
        "Linear CKA: whether pairs of words are alike in both spaces; CKNNA: the same among near "
        "neighbours only; mutual kNN: the share of neighbours in common. The chance mark is for "
        "shuffled rows; a cosine of .7 in the training log may go with little agreement here.",
    )


def _misses(probed: ProbedArms) -> None:
    probed.dots(
        ("near_misses.",),
        "misses",
        "share",
        "Held-out texts are half noised and finished by the flow, so that the word that was meant "
        "is known. Words missed: of all; of the same kind: of the misses. Chance: the same words "
        "in random order, and another of them drawn at random.",
    )


def _trajectory(probed: ProbedArms) -> None:
    curve = probed.detail(OFF_MANIFOLD, "curve")
    if curve:
        probed.curves(
            {arm: (range(len(v)), v) for arm, v in curve.items()},
            "off-manifold",
            "Distance of a path's points to the nearest real latent, in units of that between real "
            f"ones (the dotted line). At the end of the path it is {_ends(curve)}.",
            x="step",
            y="distance (× usual)",
            level=("as near as real ones", 1.0),
        )
    probed.dots(
        (OFF_MANIFOLD,),
        "path-ends",
        "distance (× usual)",
        "The same at the end, with intervals; far below 1 would be copies. The chance mark is for "
        "Gaussian points with the mean and covariance of the first arm's real latents.",
    )
    probed.dots(
        ("trajectory.",),
        "trajectory",
        "score",
        "Straightness and efficiency: 1 = a straight way; segment ratio: 1 = constant speed; "
        "commit step: share of the steps after which a word stays; fidelity lag: above 0, fluent "
        "before faithful. The chance mark is for scrambled paths, shuffled texts, or no lag.",
        without=OFF_MANIFOLD,
    )


def _ends(curves: Mapping[str, Sequence[float]]) -> str:
    """The last point of every curve, in words."""
    return ", ".join(f"{curve[-1]:.1f} for {arm}" for arm, curve in curves.items())


SECTIONS: Mapping[str, Section] = {
    "Spectrum": Section(("floor.velocity",), _spectrum),
    "Scale": Section(("scale.",), _scale),
    "Velocity floors": Section(("floor.velocity",), _floors),
    "Decoder basin": Section(("decoder_basin",), _basin),
    "Between texts": Section(("manifold_continuity.",), _between, always=True),
    "Along a text": Section(("sequence_structure.",), _sequence),
    "Dimension": Section(("intrinsic_dimension.", "isotropy."), _dimension),
    "Ways from noise": Section(("velocity_information.", "learnability."), _information),
    "Teacher": Section(("alignment",), _alignment),
    "Over training": Section(
        ("over_training.",),
        lambda probed: show_any_measure(probed.selection),
        when=lambda probed: bool(measures(courses(probed.selection))),
        numbers=lambda probed: any_measure_numbers(probed.selection),
    ),
    "Misses": Section(("near_misses.",), _misses),
    "Paths": Section(("trajectory.",), _trajectory),
}
# What the overview sorts: every stored result of any topic, each once.
PREFIXES = tuple(dict.fromkeys(p for section in SECTIONS.values() for p in section.prefixes))
