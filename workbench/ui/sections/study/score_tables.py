"""A comparison as tables: scores by arm with chance and controls, and contrasts with verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.report.ladder import headline_score
from workbench.report.number_text import interval_text, number_text
from workbench.report.plain_words import plain_words
from workbench.report.predictors import metric_direction
from workbench.report.writers import all_contrasts, writers_of
from workbench.score.directions import ACCURACY, FIDELITY
from workbench.ui.kit.theme import ARM_MEANING

if TYPE_CHECKING:
    import pandas as pd

KEY_SCORES = (
    "valid_4gram",
    "nats_per_token",
    "unigram_entropy",
    "repetition",
    "fidelity",
    "tense_agreement",
    "embedding_f1",
    "rouge1",
)
CONTROLS = ("human", "autoregressive")
LEVEL = 0.05
UNCLEAR = "not distinguishable"
UNCLEAR_NAMES = ("none",)  # reads like "nothing" within a sentence
# The first that tells two arms apart is said in words: what anyone would call a fault goes first.
INSTANCES = {
    "generation.grammar_texts": "For instance, of its stories {} writes {:.0%} without a fault, "
    "{} {:.0%}.",
    FIDELITY: "For instance, of a prompt's facts {} keeps {:.0%} and {} {:.0%}.",
}


def metric_names(comparison: Mapping[str, Any], family: str = "") -> list[str]:
    """Every metric of any arm, or those of one family, in order of appearance."""
    names = dict.fromkeys(name for values in comparison["arms"].values() for name in values)
    return [name for name in names if family in ("", name.split(".")[0])]


def family_names(comparison: Mapping[str, Any]) -> list[str]:
    """Families of metrics, generation first."""
    names = list(dict.fromkeys(name.split(".")[0] for name in metric_names(comparison)))
    return sorted(names, key=lambda name: (not name.startswith("generation"), names.index(name)))


def headline_metrics(comparison: Mapping[str, Any]) -> list[str]:
    """Reconstruction, the score that the ladder of damage chose, and those that explain it."""
    names = metric_names(comparison)
    wanted = [ACCURACY, headline_score(comparison), *(f"generation.{name}" for name in KEY_SCORES)]
    return [name for name in dict.fromkeys(wanted) if name in names]


def score_frame(comparison: Mapping[str, Any], metrics: Sequence[str]) -> pd.DataFrame:
    """One row per measure: mean and interval of each arm and generator, chance, and controls."""
    import pandas as pd

    writers, baselines = writers_of(comparison), comparison.get("baselines", {})
    beside = [name for name in writers if name not in comparison["arms"]]
    rows = []
    for metric in dict.fromkeys(metrics):
        values = {name: own.get(metric, {}) for name, own in writers.items()}
        known: Mapping[str, Any] = next((value for value in values.values() if value.get("n")), {})
        row = {
            "measure": plain_words(metric),
            # A generator has no space to measure: its cell stays empty there.
            **{
                name: None if name in beside and not value else _cell(value)
                for name, value in values.items()
            },
        }
        chance = known.get("chance")
        row["chance"] = None if chance is None else number_text(chance)
        for name in CONTROLS:
            mean = baselines.get(name, {}).get(metric, {}).get("mean")
            row[name] = None if mean is None else number_text(mean)
        row["n"] = known.get("n", 0)
        row["code name"] = metric
        rows.append(row)
    frame = pd.DataFrame(rows)
    optional = ("chance", *CONTROLS, *beside)
    empty = [name for name in optional if name in frame and not frame[name].any()]
    return frame.drop(columns=empty)


def contrast_frame(comparison: Mapping[str, Any], family: str, *, only_clear: bool) -> pd.DataFrame:
    """One row per contrast of one family: difference, interval, p, verdict."""
    import pandas as pd

    rows = [
        {
            "arms": f"{row['a']} − {row['b']}",
            "measure": plain_words(row["metric"]),
            "difference": number_text(row["difference"]),
            "95 % interval": f"[{number_text(row['low'])}, {number_text(row['high'])}]",
            "p (Holm)": number_text(row.get("p_holm")),
            "n": row["n"],
            "verdict": row["verdict"] if is_clear(row) else UNCLEAR,
            "code name": row["metric"],
        }
        for row in all_contrasts(comparison)
        if row["metric"].split(".")[0] == family and not (only_clear and not is_clear(row))
    ]
    columns = ["arms", "measure", "difference", "95 % interval", "p (Holm)", "n", "verdict"]
    columns.append("code name")
    return pd.DataFrame(rows, columns=columns)


def is_clear(contrast: Mapping[str, Any]) -> bool:
    """Whether a difference stands: its interval excludes zero, and its p, where there is one, is
    small after Holm's correction for looking at many scores."""
    p = contrast.get("p_holm")
    return contrast["verdict"] != UNCLEAR and (p is None or p <= LEVEL)


def findings(comparison: Mapping[str, Any], first: str, second: str) -> list[str]:
    """The comparison of two arms in sentences: reconstruction, then generation."""
    rows = {
        row["metric"]: row
        for row in comparison["contrasts"]
        if {row["a"], row["b"]} == {first, second}
    }
    scores = [
        row
        for name, row in rows.items()
        if name.startswith("generation.") and metric_direction(name, {}) is not None
    ]
    arms = comparison["arms"]
    if not rows and first != second and {first, second} <= set(arms):
        return [
            f"{first} and {second} were not contrasted: a study contrasts every arm with its first "
            f"two, {' and '.join(list(arms)[:2])}. `compare STUDY/{first} STUDY/{second}` does it."
        ]
    if not scores:
        return []
    read = [number_text(arms[arm].get(ACCURACY, {}).get("mean")) for arm in (first, second)]
    gate = rows.get(ACCURACY)
    apart = gate is not None and is_clear(gate)
    told = "these differ" if apart else UNCLEAR
    better, worse = (_clear_scores(scores, second, verdict) for verdict in ("better", "worse"))
    unclear = sum(not is_clear(row) for row in scores)
    lines = [
        f"Reading back: {explained(first)} {read[0]}, {explained(second)} {read[1]} of tokens "
        f"({told}).",
        f"Writing: of {len(scores)} scores {second} is better on {len(better)} and worse on "
        f"{len(worse)}; {unclear} cannot be told apart.",
    ]
    told_by = next((metric for metric in INSTANCES if metric in better + worse), None)
    if told_by is not None:
        means = [arms[arm][told_by]["mean"] for arm in (first, second)]
        lines.append(INSTANCES[told_by].format(first, means[0], second, means[1]))
    return [*lines, _lesson(first, second, apart=apart, parted=bool(better or worse))]


def explained(arm: str) -> str:
    """An arm's name, with what it stands for where the name itself would mislead."""
    return f"{arm} ({ARM_MEANING[arm]})" if arm in UNCLEAR_NAMES else arm


def _lesson(first: str, second: str, *, apart: bool, parted: bool) -> str:
    """What the reader may take home, and no more than the numbers allow."""
    if not parted:
        return f"So here {first} and {second} write alike, as far as these scores can tell."
    if apart:
        return "Reconstruction differs too here, so this pair cannot show that it misleads."
    return "So reconstruction could not have told which of the two to choose."


def _clear_scores(scores: Sequence[Mapping[str, Any]], arm: str, verdict: str) -> list[str]:
    """Scores by which an arm is clearly better or worse than the other."""
    other = {"better": "worse", "worse": "better"}[verdict]
    return [
        row["metric"]
        for row in scores
        if is_clear(row) and row["verdict"] == (verdict if row["a"] == arm else other)
    ]


def _cell(value: Mapping[str, Any]) -> str:
    if value.get("mean") is None:
        return str(value.get("reason") or "not defined")
    return interval_text(value)
