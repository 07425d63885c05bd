"""Reading a visitor's vectors and texts: every value as it stands in the file, or a refusal.

An id or a label is never taken for a dimension, and no row is dropped: text and vector i belong
together because they are the i-th of their files.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TEXT_KINDS = ("txt", "csv", "tsv", "parquet")
LARGEST_BYTES = 200 * 2**20
LARGEST_UNPACKED = 2**30
MOST_ROWS, MOST_COLUMNS = 500_000, 8192
_NO_DIMENSION = re.compile(r"(.*[\W_])?(id|idx|index|label|class|target|cluster)s?", re.IGNORECASE)


@dataclass(frozen=True)
class Vectors:
    """One file's space: `rows` (N, F) float32, and the columns that are none of its dimensions."""

    rows: np.ndarray
    left_out: tuple[str, ...] = ()


def read_vectors(name: str, content: bytes) -> Vectors:
    """The space in a file, without pickle.

    Raises:
        InputError: another type, over a limit, not one matrix of finite numbers, or columns of
            which it is not clear whether they are dimensions.
    """
    kind = _kind(name, content, VECTOR_KINDS)
    try:
        array, left_out = _READERS[kind](name, content)
    except InputError:
        raise
    except Exception as error:
        # Readers raise what they like on foreign bytes; the reader learns which file it was.
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]}"
        raise InputError(f"{name}: cannot be read as .{kind} ({what})") from error
    return Vectors(_checked(name, array), left_out)


def _read_numpy(name: str, content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """A .npy, or the one array of a .npz, whichever it is called."""
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, ()
    unpacked = sum(member.file_size for member in loaded.zip.infolist())
    if unpacked > LARGEST_UNPACKED:
        raise InputError(f"{name}: {unpacked} bytes unpacked; at most {LARGEST_UNPACKED} are taken")
    return loaded[_only(name, "arrays", loaded.files)], ()


def _read_safetensors(name: str, content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """The one tensor of the file; torch knows the types that NumPy lacks, such as bf16 and fp8."""
    from safetensors.torch import load

    tensors = load(content)
    tensor = tensors[_only(name, "tensors", list(tensors))]
    if tensor.dtype.is_complex or str(tensor.dtype) == "torch.bool":
        raise InputError(f"{name}: numbers are wanted, got {tensor.dtype}")
    return tensor.float().numpy(), ()


def _only(name: str, what: str, names: Sequence[str]) -> str:
    if len(names) != 1:
        held = f"{len(names)} {what} ({', '.join(names[:8])})" if names else f"0 {what}"
        raise InputError(f"{name}: holds {held}; save the one matrix that is the space by itself")
    return names[0]


def _read_parquet(name: str, content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """The one column of lists, else the columns of numbers that are no ids or labels."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    _check_size(name, file.metadata)
    table = file.read()
    schema = table.schema
    lists = [i for i, field in enumerate(schema) if _is_list_of_numbers(field.type)]
    if lists:
        _only(name, "columns of lists", [schema.names[i] for i in lists])
    dimensions = lists or _number_columns(name, schema)
    if not dimensions:
        columns = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:8])
        raise InputError(f"{name}: no dimensions among its columns {columns}")
    if lists:
        array = _list_column(name, table.column(lists[0]))
    else:
        array = np.stack([table.column(i).to_numpy() for i in dimensions], axis=1)
    names = enumerate(schema.names)
    return array, tuple(column for i, column in names if i not in dimensions)


def _check_size(name: str, metadata: pq.FileMetaData) -> None:
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in groups)
    if metadata.num_rows > MOST_ROWS or unpacked > LARGEST_UNPACKED:
        raise InputError(
            f"{name}: {metadata.num_rows} rows, {unpacked} bytes unpacked; at most {MOST_ROWS} "
            f"rows and {LARGEST_UNPACKED} bytes are taken"
        )


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def _list_column(name: str, column: pa.ChunkedArray) -> np.ndarray:
    """(N, F) of a column of lists that are all as long as the first."""
    import pyarrow.compute as pc

    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise InputError(f"{name}: {column.null_count} rows are null, first row {row}")
    lengths = pc.list_value_length(column).to_numpy()
    odd = np.flatnonzero(lengths != lengths[:1])
    if odd.size:
        raise InputError(
            f"{name}: row {odd[0]} has {lengths[odd[0]]} values, row 0 has {lengths[0]}; "
            "all rows must have as many"
        )
    return pc.list_flatten(column).to_numpy().reshape(len(column), *lengths[:1])


def _number_columns(name: str, schema: pa.Schema) -> list[int]:
    """Places of the columns of numbers; whole numbers beside broken ones are not guessed at."""
    import pyarrow.types as types

    index = (schema.pandas_metadata or {}).get("index_columns", ())
    free = [
        (i, field.type)
        for i, field in enumerate(schema)
        if field.name not in index and not _NO_DIMENSION.fullmatch(field.name)
    ]
    broken = [i for i, kind in free if types.is_floating(kind)]
    whole = [i for i, kind in free if types.is_integer(kind)]
    if broken and whole:
        names = ", ".join(schema.names[i] for i in whole[:8])
        raise InputError(
            f"{name}: {names} hold whole numbers beside dimensions that do not; leave them out, "
            "or save them as float if they are dimensions too"
        )
    return broken or whole


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.shape[0] < 3 or array.shape[1] < 2:
        raise InputError(f"{name}: a matrix of 3 rows and 2 columns or more is wanted, "
                         f"got shape {array.shape}")  # fmt: skip
    if array.shape[0] > MOST_ROWS or array.shape[1] > MOST_COLUMNS:
        raise InputError(f"{name}: shape {array.shape}; at most ({MOST_ROWS}, {MOST_COLUMNS})")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: numbers are wanted, got {array.dtype}")
    with np.errstate(over="ignore"):  # a value beyond float32 is named below
        rows = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise InputError(f"{name}: not finite in {bad.size} rows, first row {bad[0]}")
    return rows


def read_texts(name: str, content: bytes) -> list[str]:
    r"""One text per item: a line parted by \n alone, or a row's column `text`, as it stands.

    A blank line, an empty value and a null are empty texts; "NA" and "007" are texts.

    Raises:
        InputError: another type, over the limit, not UTF-8, damaged, or no column `text`.
    """
    from data.readers.lines import stream_lines
    from data.readers.tables import csv_records

    kind = _kind(name, content, TEXT_KINDS)
    if kind == "parquet":
        return _parquet_texts(name, content)
    lines = stream_lines(io.BytesIO(content), name, "strict")
    try:
        if kind == "txt":
            return [line.text for line in lines]
        rows = [record.values for record in csv_records(lines, name, ("text",), blank_rows=True)]
    except ValueError as error:
        raise InputError(str(error)) from error
    if rows:
        _check_text_column(name, list(rows[0]))
    return [row["text"] for row in rows]


def _parquet_texts(name: str, content: bytes) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        _check_size(name, file.metadata)
        _check_text_column(name, file.schema_arrow.names)
        column = file.read(columns=["text"]).column(0)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: cannot be read as .parquet ({error})") from error
    values = column.to_pylist()
    foreign = next((value for value in values if not isinstance(value, str | None)), None)
    if foreign is not None:
        raise InputError(f"{name}: the column `text` holds {column.type}, not text")
    return [value or "" for value in values]


def _check_text_column(name: str, columns: Sequence[str]) -> None:
    count = Counter(columns)["text"]
    if count != 1:
        has = f"; it has {', '.join(columns[:8])}" if count == 0 else ""
        raise InputError(f"{name}: {'no' if count == 0 else 'more than one'} column `text`{has}")


def _kind(name: str, content: bytes, kinds: tuple[str, ...]) -> str:
    """The file's type by its ending, checked here whatever the browser let through."""
    kind = Path(name).suffix.lower().lstrip(".")
    if kind not in kinds:
        raise InputError(f"{name}: not one of {', '.join(kinds)}")
    if not 0 < len(content) <= LARGEST_BYTES:
        raise InputError(f"{name}: {len(content)} bytes; 1 to {LARGEST_BYTES} are taken")
    return kind


_READERS: Mapping[str, Callable[[str, bytes], tuple[np.ndarray, tuple[str, ...]]]] = {
    "npy": _read_numpy,
    "npz": _read_numpy,
    "safetensors": _read_safetensors,
    "parquet": _read_parquet,
}
VECTOR_KINDS = tuple(_READERS)
