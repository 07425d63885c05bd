"""Records of .jsonl, .csv, .tsv and .parquet files, streamed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.readers.lines import Line, check_regular_file, read_lines
from data.readers.tally import Record

if TYPE_CHECKING:
    import pyarrow as pa

MAX_GROUP_BYTES = 1 << 30
_ROWS_AT_ONCE = 256
_FOREIGN_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


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
            values = json.loads(line.text, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{place}: a JSON object is needed, got {type(values).__name__}")
        yield Record(place, values)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key given twice the `json` module would keep the last value."""
    if repeated := _repeated([name for name, _ in pairs]):
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return dict(pairs)


def read_csv(
    path: Path, errors: str, wanted: Collection[str] = (), columns: Sequence[str] = ()
) -> Iterator[Record]:
    """Rows of a file, see `csv_records`."""
    return csv_records(read_lines(path, errors), str(path), wanted, columns)


def csv_records(
    lines: Iterable[Line],
    source: str,
    wanted: Collection[str] = (),
    columns: Sequence[str] = (),
    *,
    blank_rows: bool = False,
) -> Iterator[Record]:
    """Rows, all values text; quoted values may span lines.

    Empty values beyond the header's columns, which trailing commas make, are left out.

    Args:
        lines: of the file.
        source: the file's name; `.tsv` parts columns by tabs, any other by commas.
        wanted: columns that will be read.
        columns: names of the columns, if the file has no header; else its first row names them.
        blank_rows: a blank line is a row of empty values, instead of none.

    Raises:
        ValueError: naming file and line, for an uneven row, a bad quote, a repeated column, a
            header that is parted by other signs, or a value longer than the `csv` module's limit
            (131,072 characters).
    """
    delimiter = "\t" if source.lower().endswith(".tsv") else ","
    rows = csv.reader((f"{line.text}\n" for line in lines), delimiter=delimiter, strict=True)
    try:
        header = list(columns) or next(rows, [])
        _check_header(header, source, wanted)
        for row in rows:
            if row or blank_rows:
                yield _csv_record(f"{source}:{rows.line_num}", header, row)
    except csv.Error as error:
        raise ValueError(
            f"{source}:{rows.line_num}: {error}: mend the quotes, or use .jsonl or .parquet"
        ) from error


def _check_header(header: Sequence[str], source: str, wanted: Collection[str]) -> None:
    if repeated := _repeated([name for name in header if name]):
        raise ValueError(f"{source}:1: the header repeats the column {repeated!r}")
    if len(header) == 1 and header[0] not in wanted:
        for mark, name in _FOREIGN_DELIMITERS.items():
            if mark in header[0]:
                raise ValueError(
                    f"{source}:1: the header is the one column {header[0]!r}: the file seems to "
                    f"be parted by {name}; save it with commas, or as .jsonl or .parquet"
                )


def _csv_record(place: str, header: Sequence[str], row: Sequence[str]) -> Record:
    if not row:
        return Record(place, dict.fromkeys(header, ""))
    beyond = row[len(header) :]
    if len(row) < len(header) or any(beyond):
        raise ValueError(f"{place}: {len(row)} values where the header has {len(header)} columns")
    return Record(place, dict(zip(header, row, strict=False)))


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that stands twice."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Rows of a Parquet file, with the columns asked for and the names of all.

    Strings stay dictionary-encoded until they are handed over one by one, so a column of copies
    does not unfold in memory. Distinct texts do: a row group may take three times its unpacked
    size, which `MAX_GROUP_BYTES` bounds.

    Raises:
        ValueError: for a damaged file, a column that is missing or stands twice, or a row group of
            over 1 GiB.
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
            if repeated := _repeated([name for name in schema.names if name in columns]):
                raise ValueError(
                    f"{path}: the column {repeated!r} stands twice: rename or leave out one"
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
