"""What the HTML report reads like: plain words, why, and one mark for a missing value."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from workbench.report.near_miss_words import near_miss_sentence
from workbench.report.number_text import MISSING
from workbench.report.report_tables import contrast_rows, report_tables
from workbench.report.study_report import headline, write_report

NEAR = "knn_coherence.token.other_id.pos"


def arm(share: float | None) -> dict:
    return {
        "generation.rouge1": {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9},
        NEAR: {
            "mean": share,
            "low": share and share - 0.01,
            "high": share and share + 0.02,
            "n": 3486,
            "chance": 0.11,
        },
    }


def comparison(first: float | None = 0.16) -> dict:
    row = {"a": "repa", "b": "none", "difference": 0.1, "low": None, "high": None, "n": 9}
    return {
        "arms": {"none": arm(first), "repa": arm(0.58)},
        "baselines": {"swap_2": {"generation.rouge1": {"mean": 0.9}}},
        "contrasts": [
            {**row, "metric": "generation.rouge1", "verdict": "better"},
            {**row, "metric": "generation.length", "verdict": "higher"},
        ],
    }


def test_why_is_said_of_every_arm_and_left_out_where_it_is_not_measured():
    said = near_miss_sentence(comparison())
    none, repa = "16 % [15, 18] (n 3,486) in none", "58 % [57, 60] (n 3,486) in repa"
    assert f"same part of speech: {none}, {repa} (chance 11 %)" in said
    assert near_miss_sentence(comparison(None)) == ""


def test_only_scores_with_a_better_end_are_counted():
    assert (
        "of 1 scores of its texts, 1 are better, 0 worse and 0 not told apart"
        in (headline(comparison())[0])
    )


def test_tables_are_in_plain_words_and_mark_what_is_missing():
    writing, near = report_tables(comparison())
    assert (writing["words"], writing["beside"]) == ("writing", ["2 % swapped"])
    assert writing["rows"][0]["words"] == "words as a human's, F1 (0 to 1) ↑"
    assert writing["rows"][0]["chance"] == MISSING
    assert near["rows"][0]["chance"] == "0.1100"
    assert contrast_rows(comparison())[0]["interval"] == MISSING


class Cells(HTMLParser):
    """The text of headings and of cells of tables, but for the texts that models wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.found = "", list[str]()

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside in ("td", "th", "h2", "strong") and data.strip():
            self.found.append(data.strip())


def test_no_code_name_stands_in_the_report(smoke, tmp_path):
    page = write_report(smoke).read_text(encoding="utf-8")
    assert "Reconstruction tests the decoder on its own encoder" in page
    assert "guidance g" not in page
    read = Cells()
    read.feed(re.sub(r"<script.*?</script>", "", page, flags=re.S))
    samples = read.found.index("Samples side by side")
    tables = read.found[:samples] + read.found[read.found.index("writing") :]
    assert len(tables) > 200
    assert [text for text in tables if re.search(r"[a-z]_[a-z0-9]|\bNone\b|\bnan\b", text)] == []
