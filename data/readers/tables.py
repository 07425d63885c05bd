"""Records of .jsonl, .csv, .tsv and .parquet files, streamed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.readers.lines import check_regular_file, read_lines
from data.readers.tally import Record

if TYPE_CHECKING:
    import pyarrow as pa

MAX_GROUP_BYTES = 1 << 30
_ROWS_AT_ONCE = 256


def read_jsonl(path: Path, errors: str) -> Iterator[Record]:
    """One JSON object a line; blank lines are left out.

    Raises:
        ValueError: naming file and line, for what is no JSON object.
    """
    for line in read_lines(path, errors):
        if not line.text.strip():
            continue
        place = f"{path}:{line.number}"
        try:
            values = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{place}: a JSON object is needed, got {type(values).__name__}")
        yield Record(place, values)


def read_csv(path: Path, errors: str) -> Iterator[Record]:
    """Rows under a header, all values text; quoted values may span lines.

    Raises:
        ValueError: naming file and line, for an uneven row, a bad quote, a repeated column, or a
            value longer than the `csv` module's limit (131,072 characters).
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    lines = (f"{line.text}\n" for line in read_lines(path, errors))
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(rows, [])
        if repeated := [name for name, count in Counter(header).items() if count > 1]:
            raise ValueError(f"{path}:1: the header repeats the column {repeated[0]!r}")
        for row in rows:
            if row:
                yield _csv_record(f"{path}:{rows.line_num}", header, row)
    except csv.Error as error:
        raise ValueError(
            f"{path}:{rows.line_num}: {error}: mend the quotes, or use .jsonl or .parquet"
        ) from error


def _csv_record(place: str, header: Sequence[str], row: Sequence[str]) -> Record:
    if len(row) != len(header):
        raise ValueError(f"{place}: {len(row)} values where the header has {len(header)} columns")
    return Record(place, dict(zip(header, row, strict=True)))


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Rows of a Parquet file, with the columns asked for and the names of all.

    Strings stay dictionary-encoded until they are handed over one by one, so a column of copies
    does not unfold in memory. Distinct texts do: a row group may take three times its unpacked
    size, which `MAX_GROUP_BYTES` bounds.

    Raises:
        ValueError: for a damaged file, a missing column, or a row group of over 1 GiB.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular_file(path)
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if absent := [name for name in columns if name not in schema.names]:
                raise ValueError(
                    f"{path}: column {absent[0]!r} is missing in all {file.metadata.num_rows} "
                    f"records; columns: {', '.join(schema.names)}"
                )
            _check_groups(path, file.metadata)
        texts = [name for name in columns if schema.field(name).type in _text_types()]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            batches = file.iter_batches(_ROWS_AT_ONCE, columns=list(columns))
            rows = (values for batch in batches for values in _rows(batch))
            for number, values in enumerate(rows, start=1):
                yield Record(f"{path}, row {number}", values)
    except (pa.ArrowException, OSError) as error:
        message = str(error).partition("\n")[0]
        raise ValueError(f"{path} is no Parquet file that can be read: {message}") from error


def _text_types() -> tuple[pa.DataType, ...]:
    import pyarrow as pa

    return pa.string(), pa.large_string()


def _check_groups(path: Path, metadata: Any) -> None:
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).total_byte_size
        if size > MAX_GROUP_BYTES:
            raise ValueError(
                f"{path}: row group {group} takes {size / 2**30:.1f} GiB unpacked, the limit is "
                f"{MAX_GROUP_BYTES >> 30}: write it with smaller row groups"
            )


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    for row in range(batch.num_rows):
        yield {
            name: batch.column(place)[row].as_py() for place, name in enumerate(batch.schema.names)
        }
