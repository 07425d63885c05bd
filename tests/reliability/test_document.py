"""docs/RELIABILITY.md names each case once, and only tests that exist under the mark they have."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = 54
HEADING = re.compile(r"^\*\*(\d+)\. ", re.MULTILINE)
PROOF = re.compile(r"^- `(tests/[\w/]+\.py)::(test_\w+)`(?: \[(slow|long)\])?$", re.MULTILINE)


def sections() -> dict[int, str]:
    """Case -> its text."""
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    parts = HEADING.split(text)[1:]
    return dict(zip(map(int, parts[::2]), parts[1::2], strict=True))


def mark_of(test: ast.FunctionDef) -> str:
    """`slow`, `long`, or empty if the default suite runs it."""
    marks = {
        ast.unparse(decorator).removeprefix("pytest.mark.") for decorator in test.decorator_list
    }
    return next(iter(marks & {"slow", "long"}), "")


def test_every_case_has_a_test_or_is_said_to_be_open():
    found = sections()
    assert list(found) == sorted(found)
    assert set(range(1, CASES + 1)) <= set(found)
    for case, text in found.items():
        assert PROOF.search(text) or "**Open**" in text, f"case {case}"
        assert text.count("\n- `") == len(PROOF.findall(text)), f"case {case}: a line that is none"


def test_every_input_that_failed_once_has_its_test():
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    table = text.partition("**Inputs that failed once.**")[2].partition("\n\n**")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 18
    for row in rows:
        if "the same test" not in row:
            file, name = re.search(r"`([\w/]+\.py)::(test_\w+)` \|$", row).groups()
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), row


def test_every_test_named_exists():
    for case, text in sections().items():
        for file, name, mark in PROOF.findall(text):
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            tests = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
            assert name in tests, f"case {case}: {file} has no {name}"
            assert mark_of(tests[name]) == mark, f"case {case}: {name} and its mark"
