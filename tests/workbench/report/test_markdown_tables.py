"""A study's numbers as Markdown: every metric of every arm, nothing that breaks out of a cell."""

import pytest

from workbench.report.markdown_tables import study_tables, table, write_markdown
from workbench.store.json_files import read_json


def test_every_metric_of_a_study_has_its_row(smoke):
    comparison = read_json(smoke.directory / "comparison.json")
    rows = [line.split(" | ") for line in study_tables(comparison).splitlines() if "|" in line]
    names = {row[0].removeprefix("| ") for row in rows}
    arms = comparison["arms"]
    assert names >= {metric for values in arms.values() for metric in values}
    assert {len(row) for row in rows} == {1 + len(arms) + (len(arms) - 1) + 3}
    accuracy = next(row for row in rows if row[0] == "| reconstruction.token_accuracy")
    mean = arms["none"]["reconstruction.token_accuracy"]["mean"]
    assert accuracy[1].startswith(f"{mean:.4f} [")


def test_differences_carry_their_verdicts():
    value = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 7, "chance": 0.1}
    row = {"a": "repa", "b": "none", "metric": "scale.x", "difference": 0.2, "low": 0.1}
    comparison = {
        "arms": {"none": {"scale.x": value}, "repa": {"scale.x": value}},
        "contrasts": [{**row, "high": 0.3, "verdict": "higher"}],
        "baselines": {},
    }
    line = study_tables(comparison).splitlines()[-1]
    cell = "0.5000 [0.4000, 0.6000]"
    difference = "0.2000 [0.1000, 0.3000] **higher**"
    assert line == f"| scale.x | {cell} | {cell} | {difference} | 0.1000 | – | 7 |"


def test_people_are_the_same_at_any_guidance():
    value = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 7}
    comparison = {
        "arms": {"none": {"generation.x": value, "generation[g1].x": value}},
        "contrasts": [],
        "baselines": {"human": {"generation.x": {"mean": 0.75}}},
    }
    rows = [line for line in study_tables(comparison).splitlines() if line.startswith("| gen")]
    assert [row.split(" | ")[-2] for row in rows] == ["0.7500", "0.7500"]


def test_what_is_in_a_cell_stays_in_it():
    lines = table(["a|b"], [["<script>\n| x"]]).splitlines()
    assert lines == ["| a\\|b |", "| --- |", "| &lt;script> \\| x |"]


def test_the_file_lies_beside_the_report(copy_smoke):
    study = copy_smoke()
    path = write_markdown(study)
    assert path == study.directory / "report.md"
    assert "### reconstruction" in path.read_text(encoding="utf-8")
    (study.directory / "comparison.json").unlink()
    with pytest.raises(ValueError, match="comparison"):
        write_markdown(study)
