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
from workbench.score.unseen_words import RULE
from workbench.ui.kit.cached import (
    comparison_of,
    headline_files,
    references_of,
    samples_of,
    scores_of,
    unseen_in,
)
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.exhibits import caption_with_files
from workbench.ui.kit.opened_finding import replayed_rows
from workbench.ui.kit.scan import stamp
from workbench.ui.kit.theme import colours, surface

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection


PICKED = "_pair"  # prompt of the pair that is read, by its text


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
    """Show the texts of one prompt: the typical one, or another that is picked."""
    with guarded("The pairs"):
        row = st.container(horizontal=True, vertical_alignment="bottom")
        row.subheader("Read one pair")
        pairs = worse_written_pairs(selection, score)
        if pairs is None or not len(pairs):
            st.info("No prompt has this score.")
            return None
        pair = _pick(selection, pairs, row)
        _show_texts(selection, pair)
        with caption_with_files(pair_caption(pairs.attrs)):
            st.download_button(
                "CSV: every pair", lambda: pairs.to_csv(index=False),
                file_name="pairs.csv", mime="text/csv", on_click="ignore",
            )  # fmt: skip
        return pair
    return None


def _pick(selection: Selection, pairs: pd.DataFrame, where: Any) -> Pair:
    prompts, listed = references_of(selection.study).prompts, pairs["prompt"].to_list()
    if replayed := replayed_rows(selection, "prompts", len(prompts)):
        st.session_state[PICKED] = prompts[replayed[0]]
    if st.session_state.get(PICKED) not in listed:
        st.session_state.pop(PICKED, None)
    gaps = dict(zip(listed, pairs["score gap"], strict=True))
    picked = where.selectbox(
        "Prompt, the most typical first", listed, key=PICKED, width=420,
        label_visibility="collapsed", format_func=lambda text: f"gap {gaps[text]:.3g}: {text}",
    )  # fmt: skip
    texts = pairs.iloc[listed.index(picked)]
    return Pair(prompts.index(texts["prompt"]), texts, pairs.attrs["score"])


def _show_texts(selection: Selection, pair: Pair) -> None:
    palette, texts, arms = colours(selection.all_arms), pair.texts, selection.arms
    unseen = unseen_in(selection.study, [texts[name] for name in (*arms, "reference")])
    parts = [block(texts["prompt"], label="prompt", muted=True)]
    for arm, spans in zip(arms, unseen, strict=False):
        label = f"{arm} ({texts[arm + ' score']:.3g})"
        parts.append(block(texts[arm], label=label, colour=palette[arm], underlined=spans))
    grey = surface().muted
    parts.append(block(texts["reference"], label="human", colour=grey, underlined=unseen[-1]))
    st.html(blocks(parts, written=True))


def pair_caption(found: Mapping[Hashable | None, Any]) -> str:
    """What to look at, how often the better reconstructor wrote worse, and why this pair."""
    return (
        f"{RULE} That is no grammar: the better text may have more. **{found['better']}** wrote "
        f"worse on {found['count']} of {found['known']} prompts; nearest both medians stands first."
    )


def worse_written_pairs(selection: Selection, score: str) -> pd.DataFrame | None:
    """Prompts by how much worse the better reconstructor wrote, the most typical first.

    A gap below zero is a prompt where it wrote better. The first row's scores lie nearest the
    medians of both arms, so that no example is picked for its effect.

    A score without a value per prompt, such as MAUVE, gives way to the judge's nats per token;
    `attrs["score"]` of the table says which it is; `count` of `known` prompts are such.
    """
    if len(selection.arms) < 2 or comparison_of(selection.study) is None:
        return None
    files = [headline_files(run) for run in selection.runs.values()]
    known = [selection.study.directory / "comparison.json", *(f for own in files for f in own)]
    return _pairs(tuple((str(file), stamp(file)) for file in known), score, selection)


@st.cache_resource(max_entries=16, show_spinner=False)
def _pairs(
    files: tuple[tuple[str, tuple[int, int]], ...], score: str, _selection: Selection
) -> pd.DataFrame:
    """The files are those of both arms in their order, so that they name the selection too."""
    import pandas as pd

    selection, comparison = _selection, comparison_of(_selection.study)
    assert comparison is not None
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
    both = frame[[f"{arm} score" for arm in selection.arms]]
    away = ((both - both.median()) ** 2).sum(axis=1)
    frame = frame.loc[away.sort_values(kind="stable").index].reset_index(drop=True)
    count = int((frame["score gap"] > 0).sum())
    frame.attrs |= {"score": column, "better": better, "count": count, "known": len(frame)}
    return frame
