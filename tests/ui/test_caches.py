"""Every cache of the pages has a largest number of entries, so that no session can fill memory."""

from __future__ import annotations

import ast

import pytest

from tests.ui.conftest import ROOT

CACHES = ("cache_data", "cache_resource")


def unbounded(source: str) -> list[str]:
    """Functions cached without a number for `max_entries`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for decorator in getattr(node, "decorator_list", []):
            call = isinstance(decorator, ast.Call)
            target = decorator.func if call else decorator
            if getattr(target, "attr", getattr(target, "id", "")) in CACHES:
                given = {w.arg: ast.unparse(w.value) for w in decorator.keywords} if call else {}
                if not given.get("max_entries", "").isdecimal():
                    found.append(node.name)
    return found


def test_every_cache_is_bounded():
    files = sorted((ROOT / "workbench" / "ui").rglob("*.py"))
    assert files
    assert {str(f): names for f in files if (names := unbounded(f.read_text()))} == {}


@pytest.mark.parametrize(
    "decorator",
    ["@st.cache_data", "@st.cache_resource(ttl=1)", "@st.cache_data(max_entries=None)"],
)
def test_a_planted_one_is_found(decorator):
    assert unbounded(f"{decorator}\ndef f(): ...") == ["f"]
    assert unbounded("@st.cache_data(max_entries=2)\ndef f(): ...") == []
