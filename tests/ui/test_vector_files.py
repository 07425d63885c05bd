"""A visitor's vectors and texts keep their values and stay in step, or are refused by name."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save

from workbench.errors import InputError
from workbench.ui.sections.runs import vector_files
from workbench.ui.sections.runs.own_vectors import read_upload
from workbench.ui.sections.runs.vector_files import read_texts, read_vectors

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LIST = pa.array(ROWS.tolist(), pa.list_(pa.float32()))
FIXED = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.ravel()), 4)
WIDE = {f"d{i}": ROWS[:, i] for i in range(4)}
IDS = pa.array(range(6))
TEXTS = pa.array(list("abcdef"))


class Upload:
    """What Streamlit hands over."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self._content = name, content

    def getvalue(self) -> bytes:
        return self._content


def parquet(columns: dict | pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns) if isinstance(columns, dict) else columns, buffer)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        ({"id": IDS, "label": IDS, "text": TEXTS, "embedding": LIST}, ("id", "label", "text")),
        ({"text": TEXTS, "embedding": LIST}, ("text",)),
        ({"embedding": FIXED}, ()),
        ({"embedding": LIST.cast(pa.large_list(pa.float64())), "x": ROWS[:, 0]}, ("x",)),
        ({**WIDE, "id": IDS}, ("id",)),
        ({"Doc_ID": IDS, "label": pa.array([1.0, None] * 3), **WIDE}, ("Doc_ID", "label")),
        ({**WIDE, "text": TEXTS, "seen": pa.array([True] * 6)}, ("text", "seen")),
    ],
)
def test_the_space_of_a_table_is_its_lists_or_numbers_and_no_id(columns, left_out):
    vectors = read_vectors("a.parquet", parquet(columns))
    np.testing.assert_array_equal(vectors.rows, ROWS)
    assert vectors.left_out == left_out


def test_the_index_of_a_data_frame_is_no_dimension():
    frame = pd.DataFrame(WIDE, index=pd.Index(range(10, 16), name="place"))
    vectors = read_vectors("a.parquet", parquet(pa.Table.from_pandas(frame)))
    np.testing.assert_array_equal(vectors.rows, ROWS)


def test_nullable_columns_without_nulls_are_read():
    frame = pd.DataFrame(WIDE).astype("Float32")
    vectors = read_vectors("a.parquet", parquet(pa.Table.from_pandas(frame)))
    np.testing.assert_array_equal(vectors.rows, ROWS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": LIST, "b": LIST}, r"2 columns of lists \(a, b\)"),
        ({"a": pa.array([*ROWS.tolist()[:5], [1.0]])}, "row 5 has 1 values, row 0 has 4"),
        ({"a": pa.array([*ROWS.tolist()[:5], None])}, "1 rows are null, first row 5"),
        ({"a": pa.array([*ROWS.tolist()[:5], [None] * 4], LIST.type)}, "in 1 rows, first row 5"),
        ({**WIDE, "d4": pa.array([1.0] * 4 + [None] * 2)}, "in 2 rows, first row 4"),
        ({**WIDE, "year": IDS}, "year hold whole numbers beside"),
        ({"a": pa.array([[[1.0, 2.0]]] * 6), "id": IDS}, r"no dimensions .*a \(list<element: list"),
        ({"a": pa.array([], LIST.type)}, "matrix"),
    ],
)
def test_a_table_that_is_no_matrix_is_refused_by_name(columns, message):
    with pytest.raises(InputError, match=rf"^a.parquet: .*{message}"):
        read_vectors("a.parquet", parquet(columns))


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8]
)
def test_types_that_numpy_lacks_are_read_from_safetensors(dtype):
    tensor = (torch.from_numpy(ROWS) * 8).to(dtype)
    rows = read_vectors("a.safetensors", save({"x": tensor})).rows
    np.testing.assert_array_equal(rows, tensor.float().numpy())


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool])
def test_tensors_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(InputError, match=rf"a.safetensors: numbers are wanted, got {dtype}"):
        read_vectors("a.safetensors", save({"x": torch.ones(4, 3).to(dtype)}))


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_an_archive_of_one_array_is_read_under_either_name(name):
    np.testing.assert_array_equal(read_vectors(name, npz(x=ROWS)).rows, ROWS)


def test_an_archive_of_several_arrays_or_too_large_is_refused(monkeypatch):
    with pytest.raises(InputError, match=r"a.npz: holds 2 arrays \(x, y\)"):
        read_vectors("a.npz", npz(x=ROWS, y=ROWS))
    monkeypatch.setattr(vector_files, "LARGEST_UNPACKED", 200)
    with pytest.raises(InputError, match=r"a.npz: \d+ bytes unpacked; at most 200"):
        read_vectors("a.npz", npz(x=ROWS, y=ROWS))
    with pytest.raises(InputError, match=r"a.parquet: 6 rows, \d+ bytes unpacked; at most"):
        read_vectors("a.parquet", parquet(WIDE))


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("t.csv", "text\nNA\nnull\nNone\nplain\n", ["NA", "null", "None", "plain"]),
        ("t.csv", "text\n007\n1e5\n12\n", ["007", "1e5", "12"]),
        ("t.csv", "text\na\n\nc\n", ["a", "", "c"]),
        ("t.csv", "text,l\na,1,\nb,2,\nc,3,\n", ["a", "b", "c"]),
        ("t.csv", "l,text,\n1,a,\n2,,\n,,\n", ["a", "", ""]),
        ("t.csv", 'text,l\n"a, b\nc",1\n', ["a, b\nc"]),
        ("t.tsv", "id\ttext\n1\ta, b\n", ["a, b"]),
        ("t.txt", "a\u2028b\nc\x85\x0b\x1cd\ne\rf\n", ["a\u2028b", "c\x85\x0b\x1cd", "e\rf"]),
        ("t.txt", "a\r\n\r\nb", ["a", "", "b"]),
    ],
)  # fmt: skip
def test_texts_stay_as_they_are_and_in_step(name, content, texts):
    assert read_texts(name, content.encode()) == texts


def test_a_null_in_a_table_is_an_empty_text():
    content = parquet({"id": IDS, "text": pa.array(["NA", None, "", "b", "c", "d"])})
    assert read_texts("t.parquet", content) == ["NA", "", "", "b", "c", "d"]
    coded = parquet({"text": TEXTS.dictionary_encode()})
    assert read_texts("t.parquet", coded) == list("abcdef")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"text;l\na;1\n", "parted by semicolons"),
        ("t.csv", b"text,l\na,1,x\n", "t.csv:2: 3 values where the header has 2"),
        ("t.csv", b"text,text\na,1\n", "repeats the column 'text'"),
        ("t.csv", b"words,l\na,1\n", "no column `text`; it has words, l"),
        ("t.csv", b"text\n\xe9\n", "t.csv:2: .*not UTF-8"),
        ("t.parquet", parquet({"text": IDS}), "column `text` holds int64, not text"),
        ("t.parquet", parquet(pa.table([TEXTS, TEXTS], names=["text"] * 2)), "more than one"),
        ("t.parquet", b"PAR1 and nothing more", "cannot be read"),
    ],
)
def test_texts_that_could_be_misread_are_refused_by_name(name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_texts(name, content)
    assert name in str(caught.value)


def test_texts_and_vectors_that_fall_out_of_step_say_so():
    file = Upload("a.parquet", parquet({"embedding": LIST, "id": IDS}))
    own = read_upload([file], Upload("t.txt", "a\u2028\nb\n\nd\ne\nf\n".encode()))
    assert own.texts == ["a\u2028", "b", "", "d", "e", "f"]
    assert own.left_out == {"a.parquet": ("id",)}
    with pytest.raises(InputError, match=r"5 texts for 6 vectors.*\(1 of the texts are blank\)"):
        read_upload([file], Upload("t.csv", b"text\na\n\nb\nc\nd\n"))
