"""One prompt with both arms' texts, where the better reconstructor wrote worse."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.report.findings import Number, Selected, selected_rows
from workbench.report.findings.shown import text_numbers
from workbench.score.directions import ACCURACY
from workbench.ui.kit.cached import comparison_of, references_of, samples_of, scores_of
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.opened_finding import replayed_rows
from workbench.ui.kit.plain_words import plain_words
from workbench.ui.kit.theme import colours, surface

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection


@dataclass(frozen=True)
class Pair:
    """The pair that is read: its row of the held-out prompts, its texts, and the measure."""

    row: int
    texts: pd.Series
    measure: str

    def selected(self) -> Selected:
        """The prompt as a finding keeps it."""
        return selected_rows("prompts", [self.row], [self.texts["prompt"]])

    def numbers(self, selection: Selection) -> list[Number]:
        """Each arm's score on this prompt."""
        values = {arm: self.texts[f"{arm} score"] for arm in selection.arms}
        return text_numbers(values, selection.seed, self.measure, self.row)


def show_pair(selection: Selection, score: str) -> Pair | None:
    """List the prompts, widest gap first, and show the texts of the one that is picked."""
    st.subheader("Read one pair")
    with guarded("The pairs"):
        pairs = worse_written_pairs(selection, score)
        if pairs is None or not len(pairs):
            st.info("No prompt has this score.")
            return None
        pair = _pick(selection, pairs)
        _show_texts(selection, pair)
        return pair
    return None


def _pick(selection: Selection, pairs: pd.DataFrame) -> Pair:
    prompts = references_of(selection.study).prompts
    if replayed := replayed_rows(selection, "prompts", len(prompts)):
        st.session_state["_pair"] = prompts[replayed[0]]
    asked = pairs.index[pairs["prompt"] == st.session_state.get("_pair")]
    first = int(asked[0]) if len(asked) else 0
    found = pairs.attrs
    picked = show_table(
        pairs[["prompt", "score gap"]].rename(columns={"score gap": f"gap: {_words(found)}"}),
        "pairs", on_select="rerun", height=180,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [first], "columns": [], "cells": []}},
        caption=f"Gap: by how much **{found['better']}** wrote worse, though it reads back at "
        f"least as well. It wrote worse on {found['count']} of {found['known']} prompts. The "
        "typical one stands first: its gap is nearest the median. Pick another and read both arms.",
    )  # fmt: skip
    rows = picked.selection.rows if picked else []
    texts = pairs.iloc[rows[0] if rows else first]
    return Pair(prompts.index(texts["prompt"]), texts, found["score"])


def _words(found: Mapping[Hashable | None, Any]) -> str:
    return plain_words(f"generation.{found['score']}")


def _show_texts(selection: Selection, pair: Pair) -> None:
    palette, texts = colours(selection.all_arms), pair.texts
    parts = [block(texts["prompt"], label="prompt", muted=True)]
    for arm in selection.arms:
        label = f"{arm} ({texts[arm + ' score']:.3g})"
        parts.append(block(texts[arm], label=label, colour=palette[arm]))
    parts.append(block(texts["reference"], label="human", colour=surface().muted))
    st.html(blocks(parts, written=True))


def worse_written_pairs(selection: Selection, score: str) -> pd.DataFrame | None:
    """Prompts by how much worse the better reconstructor wrote, the most typical gap first.

    A gap below zero is a prompt where it wrote better. The first row is the one nearest the median
    gap, so that no example is picked for its effect.

    A score without a value per prompt, such as MAUVE, gives way to the judge's nats per token;
    `attrs["score"]` of the table says which it is; `count` of `known` prompts are such.
    """
    import pandas as pd

    comparison = comparison_of(selection.study)
    if comparison is None or len(selection.arms) < 2:
        return None
    accuracy = {a: comparison["arms"][a].get(ACCURACY, {}).get("mean") or 0 for a in selection.arms}
    better = max(selection.arms, key=lambda arm: accuracy[arm])
    other = next(arm for arm in selection.arms if arm != better)
    name = score.removeprefix("generation.")
    scores = {arm: scores_of(run) for arm, run in selection.runs.items()}
    column = name if name in scores[better] else "nats_per_token"
    from workbench.score.directions import direction

    sign = -1.0 if direction(column) is False else 1.0
    gap = sign * (scores[other][column].to_numpy(float) - scores[better][column].to_numpy(float))
    texts = {arm: samples_of(run) for arm, run in selection.runs.items()}
    frame = pd.DataFrame(
        {
            "prompt": texts[better]["prompt"],
            "reference": texts[better]["reference"],
            **{arm: texts[arm]["continuation"] for arm in selection.arms},
            **{f"{arm} score": scores[arm][column] for arm in selection.arms},
            "score gap": gap,
        }
    )
    frame = frame[np.isfinite(gap)]
    away = (frame["score gap"] - frame["score gap"].median()).abs()
    frame = frame.loc[away.sort_values(kind="stable").index].reset_index(drop=True)
    count = int((frame["score gap"] > 0).sum())
    frame.attrs |= {"score": column, "better": better, "count": count, "known": len(frame)}
    return frame
