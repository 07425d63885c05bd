"""JSON documents, their seals, and the versions of what is stored."""

import random

import pytest

from workbench import store
from workbench.errors import DamagedArtefactError, InputError
from workbench.store import json_files


@pytest.mark.parametrize("sealed", [True, False])
def test_a_document_round_trips(tmp_path, sealed):
    document = {"b": [1, None, 0.1], "a": {"ü": "\u2028"}, "empty": {}}
    store.write_json(tmp_path / "deep" / "run.json", document, sealed=sealed)
    found = store.read_json(tmp_path / "deep" / "run.json")
    assert found == document
    assert list(found) == list(document)


def test_every_flip_in_a_sealed_document_is_found_or_harmless(tmp_path):
    path, document = tmp_path / "run.json", {"step": 12, "name": "repa", "values": [0.5, -1e-3]}
    store.write_json(path, document, sealed=True)
    content = path.read_bytes()
    refused, chance = 0, random.Random(0)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            # White space may change without changing what is said, and so may the seal's key,
            # which then stands in the document as a key of its own.
            found = store.read_json(path)
            assert {key: found[key] for key in document} == document
        except DamagedArtefactError:
            refused += 1
    assert refused > 0.9 * len(content)


def test_what_is_not_json_is_not_written(tmp_path):
    path = tmp_path / "comparison.json"
    store.write_json(path, {"a": 1})
    for document in ({"a": float("nan")}, {"a": path}, {"a": "\ud800"}):
        with pytest.raises(InputError, match="cannot be written as JSON"):
            store.write_json(path, document)
    assert store.read_json(path) == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": NaN}', "[" * 100_000, "\xff"])
def test_what_is_not_a_document_is_damaged(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedArtefactError, match=r"run\.json"):
        store.read_json(path)


def test_a_huge_document_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    store.write_json(path, {"name": "a" * 100})
    monkeypatch.setattr(json_files, "MAX_BYTES", 100)
    with pytest.raises(DamagedArtefactError, match=r"run\.json: larger than"):
        store.read_json(path)


def test_a_missing_document_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        store.read_json(tmp_path / "run.json")


def add_width(old: dict) -> dict:
    old["width"] = 64  # in place, as a careless migration does it
    return old


def rename_width(old: dict) -> dict:
    new = {key: value for key, value in old.items() if key != "width"}
    return {**new, "latent_width": old["width"]}


STEPS = {1: add_width, 2: rename_width}


def test_migrations_are_walked_in_order_and_leave_the_stored_alone():
    schema = store.Schema(name="run", version=3, needs_release="0.3.0", migrations=STEPS)
    stored = {"schema": 1, "name": "a"}
    assert schema.migrate(stored, "run.json") == {
        "schema": 3,
        "needs_release": "0.3.0",
        "name": "a",
        "latent_width": 64,
    }
    assert stored == {"schema": 1, "name": "a"}
    newest = schema.stamp({"latent_width": 8})
    assert schema.migrate(newest, "run.json") == newest


def test_versions_beyond_reach_are_refused():
    schema = store.Schema(name="run", version=3, needs_release="0.3.0", migrations={2: STEPS[2]})
    with pytest.raises(InputError, match=r"schema 4 is newer than 3.* release 0\.9\.0 or later"):
        schema.migrate({"schema": 4, "needs_release": "0.9.0"}, "run.json")
    with pytest.raises(InputError, match=r"schema 1 is older .*from 2"):
        schema.migrate({"schema": 1}, "run.json")
    for version in (None, "1", True, -1):
        with pytest.raises(DamagedArtefactError, match=r"run\.json: no schema version"):
            schema.migrate({"schema": version}, "run.json")


def test_a_gap_in_the_migrations_is_our_mistake():
    with pytest.raises(ValueError, match="without a gap"):
        store.Schema(name="run", version=4, needs_release="1", migrations={1: add_width})
