"""Files of every kind, sound and hostile."""

import gzip
import json
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.corpora import CorpusConfig, load_documents
from data.documents import Document
from data.readers import lines as lines_module
from data.readers import tables

ODD_TEXTS = ("NA", "null", "1e5", "=1+1", "a\u2028b\x0bc\x85d", "x\0y", "naïve “q”", "None", "-0")


def read(path: Path, **settings: object) -> list[Document]:
    return list(load_documents(CorpusConfig(name="file", path=str(path), **settings)))


def texts(path: Path, **settings: object) -> list[str]:
    return [document.text for document in read(path, **settings)]


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def write_rows(path: Path, rows: list[dict]) -> Path:
    """The same rows in the format that the suffix names."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        write(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        cells = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
        mark = "\t" if path.suffix == ".tsv" else ","
        quoted = (mark.join('"' + c.replace('"', '""') + '"' for c in line) for line in cells)
        write(path, "\n".join(quoted))
    return path


TABLES = (".jsonl", ".csv", ".tsv", ".parquet")


@pytest.mark.parametrize("suffix", TABLES)
def test_odd_texts_stay_as_they_are(tmp_path, suffix):
    path = write_rows(tmp_path / f"a{suffix}", [{"text": text} for text in ODD_TEXTS])
    assert texts(path) == list(ODD_TEXTS)


def test_lines_are_parted_at_line_feeds_alone(tmp_path):
    path = write(tmp_path / "a.txt", "\n".join(ODD_TEXTS))
    assert texts(path) == list(ODD_TEXTS)


def test_byte_order_mark_and_carriage_returns_go(tmp_path):
    assert texts(write(tmp_path / "a.txt", "\ufeffone\r\ntwo\r\n")) == ["one", "two"]
    rows = read(write(tmp_path / "a.csv", '\ufefftext,k\r\none,x\r\n"t\r\nwo",y\r\n'))
    assert [row.text for row in rows] == ["one", "t\nwo"]


@pytest.mark.parametrize("suffix", TABLES)
def test_labels_and_facts_come_from_columns(tmp_path, suffix):
    rows = [
        {"text": "The Mill is  in Paris.", "kind": "pub", "name": "The Mill", "place": "Rome"},
        {"text": "Millers eat.", "kind": "", "name": "Mill", "place": ""},
    ]
    documents = read(
        write_rows(tmp_path / f"a{suffix}", rows),
        label_columns=("kind",),
        fact_columns=("name", "place"),
    )
    assert [document.labels for document in documents] == [{"kind": "pub"}, {}]
    assert [document.facts for document in documents] == [{"name": "the mill"}, {}]


@pytest.mark.parametrize("suffix", TABLES)
def test_missing_columns_are_counted(tmp_path, suffix):
    path = write_rows(tmp_path / f"a{suffix}", [{"txt": "one", "kind": "x"}] * 3)
    with pytest.raises(ValueError, match=r"'text' is missing in (all 3|3 of 3).*txt, kind"):
        read(path)
    with pytest.raises(ValueError, match=r"'topic' is missing in (all 3|3 of 3).*txt, kind"):
        read(path, text_column="txt", label_columns=("topic",), num_documents=1)


def test_a_column_missing_in_some_records_is_counted(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{"text": "a"}, {"t": "b"}, {"text": "c"}, {"t": "d"}])
    with pytest.raises(ValueError, match=r"missing in 2 of 4 records \(first: .*a.jsonl:2\)"):
        read(path)


@pytest.mark.parametrize("suffix", TABLES)
def test_repeated_ids_are_counted(tmp_path, suffix):
    rows = [{"text": f"t{n}", "id": str(n % 3)} for n in range(5)]
    path = write_rows(tmp_path / f"a{suffix}", rows)
    with pytest.raises(ValueError, match=r"2 of 5 records repeat an id in column 'id', such as 0"):
        read(path, id_column="id")
    assert len(read(path)) == 5


def test_mixed_label_types_are_counted(tmp_path):
    rows = [{"text": f"t{n}", "k": 1 if n % 3 else "one"} for n in range(6)]
    path = write_rows(tmp_path / "a.jsonl", rows)
    with pytest.raises(ValueError, match=r"'k' mixes types \(4 numbers, 2 text\)"):
        read(path, label_columns=("k",))
    with pytest.raises(ValueError, match="is plain text and has no columns"):
        read(write(tmp_path / "a.txt", "a"), columns=("text",))
    with pytest.raises(ValueError, match=r"columns names those of a \.csv or \.tsv, not of"):
        read(write(tmp_path / "a.jsonl", '{"text": "a"}'), columns=("text",))
    rows = [{"text": "a", "k": True}, {"text": "b", "k": None}, {"text": "c", "k": False}]
    labels = [d.labels for d in read(write_rows(path, rows), label_columns=("k",))]
    assert labels == [{"k": "true"}, {}, {"k": "false"}]
    rows = [{"text": "a", "k": True}, {"text": "b", "k": 1}, {"text": "c", "k": 0.5}]
    with pytest.raises(ValueError, match=r"'k' mixes types \(2 numbers, 1 truth values\)"):
        read(write_rows(path, rows), label_columns=("k",))
    rows = [{"text": "a", "k": ["x"]}]
    with pytest.raises(ValueError, match=r"a.jsonl:1: column 'k' holds a list"):
        read(write_rows(path, rows), label_columns=("k",))


def test_numbers_in_parquet_labels_and_missing_ones(tmp_path):
    table = pa.table({"text": ["a", "b"], "k": pa.array([1.0, float("nan")])})
    pq.write_table(table, tmp_path / "a.parquet")
    labels = [d.labels for d in read(tmp_path / "a.parquet", label_columns=("k",))]
    assert labels == [{"k": "1.0"}, {}]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_texts_that_are_none(tmp_path, suffix):
    path = write_rows(tmp_path / f"a{suffix}", [{"text": None}, {"text": "a"}])
    assert texts(path) == ["a"]
    path = write_rows(tmp_path / f"b{suffix}", [{"text": 5}])
    with pytest.raises(ValueError, match="column 'text' holds numbers, not text"):
        read(path)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("content", ["", "\n", " \n\t\n\u2003\n", "\ufeff"])
def test_empty_files_hold_no_documents(tmp_path, name, content):
    if name == "a.csv":
        content = "text\n" + content.replace("\ufeff", "")
    with pytest.raises(ValueError, match=r"^0 documents "):
        read(write(tmp_path / name, content))


def test_trailing_commas_shift_no_column(tmp_path):
    path = write(tmp_path / "a.csv", "text,k\na,x,\nb,y\nc,,,\n")
    documents = read(path, label_columns=("k",))
    assert [(d.text, d.labels) for d in documents] == [
        ("a", {"k": "x"}), ("b", {"k": "y"}), ("c", {})
    ]  # fmt: skip
    assert texts(write(path, "k,text,,\nx,a,,\n")) == ["a"]


def test_a_column_may_have_any_sign_in_its_name(tmp_path):
    path = write(tmp_path / "a.csv", "text; as told\na\n")
    assert texts(path, text_column="text; as told") == ["a"]


def test_a_parquet_column_that_stands_twice_is_named(tmp_path):
    column = pa.array(["a", "b"])
    twice = pa.table([column, column, column], names=["text", "k", "k"])
    pq.write_table(twice, tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == ["a", "b"]
    with pytest.raises(ValueError, match=r"a.parquet: the column 'k' stands twice"):
        read(tmp_path / "a.parquet", label_columns=("k",))
    with pytest.raises(ValueError, match=r"a.parquet: the column 'k' stands twice"):
        read(tmp_path / "a.parquet", text_column="k")


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
def test_bad_bytes_are_named_or_replaced(tmp_path, suffix):
    rows = {
        ".txt": b"one\nt\xffo\n",
        ".csv": b"text\nt\xffo\n",
        ".jsonl": b'\n{"text": "t\xffo"}\n',
    }
    path = write(tmp_path / f"a{suffix}", rows[suffix])
    with pytest.raises(ValueError, match=rf"a{suffix}:2: byte \d+ of the line, 0xff, is not UTF-8"):
        read(path)
    assert texts(path, errors="replace")[-1] == "t\ufffdo"


def test_lone_surrogates_are_named_or_replaced(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a\\ud800b"}\n')
    with pytest.raises(ValueError, match=r"a.jsonl:1: .*lone surrogate U\+D800"):
        read(path)
    assert texts(path, errors="replace") == ["a\ufffdb"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text"', r"a.jsonl:2: not JSON"),
        ("a.jsonl", "[" * 100_000, r"a.jsonl:1: not JSON"),
        ("a.jsonl", "[1]", r"a.jsonl:1: a JSON object is needed, got list"),
        ("a.csv", "text,k\na,b\nc\n", r"a.csv:3: 1 values where the header has 2 columns"),
        ("a.csv", "text,text\na,b\n", r"the header repeats the column 'text'"),
        ("a.csv", "text,k\na,b,c\n", r"a.csv:2: 3 values where the header has 2 columns"),
        ("a.csv", "text;k\na;b\n", r"a.csv:1: .*'text;k': .* parted by semicolons; save it with"),
        ("a.csv", "text\tk\na, b\tc\n", r"a.csv:1: .* parted by tabs"),
        ("a.jsonl", '{"text": "a", "text": "b"}', r"a.jsonl:1: .*'text' stands twice"),
        ("a.csv", 'text\n"never closed\n', r"a.csv:2: .*mend the quotes"),
        ("a.csv", f"text\n{'a' * 200_000}\n", r"a.csv:2: field larger than field limit"),
        ("a.parquet", "PAR1 but no more", r"a.parquet is no Parquet file"),
        ("a.parquet", "", r"a.parquet is no Parquet file"),
        ("a.docx", "text", r"the suffix must be one of .txt, .jsonl, .csv, .tsv, .parquet"),
        ("a.txt", "\xff\xfe", r"a.txt is UTF-16, not UTF-8 text"),
    ],
)
def test_malformed_files_are_named(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(write(tmp_path / name, content.encode("latin-1")))
    assert "\n" not in str(caught.value)


def test_compressed_and_foreign_files_are_refused(tmp_path):
    bomb = gzip.compress(b"a" * 10_000_000)
    for name, data, kind in (
        ("a.txt", bomb, "gzip"),
        ("a.jsonl", b"PK\x03\x04rest", "zip"),
        ("a.txt", b"PAR1", "Parquet"),
        ("a.csv", "text\na\n".encode("utf-16"), "UTF-16"),
    ):
        with pytest.raises(ValueError, match=f"is {kind}, not UTF-8 text"):
            read(write(tmp_path / name, data))


@pytest.mark.parametrize("suffix", [".txt", ".parquet"])
def test_only_regular_files_are_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"loop{suffix}").symlink_to(tmp_path / f"loop{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name, message in (
        ("pipe", "is no regular file"),
        ("folder", "is a directory"),
        ("loop", "cannot be read"),
        ("zero", "is no regular file"),
        ("absent", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=f"{name}{suffix} {message}"):
            read(tmp_path / f"{name}{suffix}")


def test_a_link_to_a_file_is_followed(tmp_path):
    linked = tmp_path / "linked.txt"
    linked.symlink_to(write(tmp_path / "real.txt", "one\n"))
    assert texts(linked) == ["one"]


@pytest.mark.parametrize("content", [b"\n" * 200_000 + b"end", b"a bc" * 2_000_000])
def test_memory_stays_bounded(tmp_path, monkeypatch, content):
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 1 << 19)
    monkeypatch.setattr(lines_module, "_CHUNK_BYTES", 1 << 16)
    path = write(tmp_path / "a.txt", content)
    tracemalloc.start()
    documents = load_documents(CorpusConfig(name="file", path=str(path)))
    length = sum(len(document.text.replace(" ", "")) for document in documents)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length == len(content.replace(b" ", b"").strip())
    assert peak < 4 << 20


def test_an_endless_line_comes_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(lines_module, "_CHUNK_BYTES", 64)
    words = " ".join(f"wörd{n}" for n in range(1000))
    found = texts(write(tmp_path / "a.txt", words))
    assert len(found) > 5
    assert " ".join(found) == words
    found = texts(write(tmp_path / "b.txt", "ö" * 5000))
    assert "".join(found) == "ö" * 5000
    with pytest.raises(ValueError, match=r"a.jsonl:1: the line is longer than"):
        read(write(tmp_path / "a.jsonl", '{"text": "' + "a" * 5000 + '"}'))


def test_parquet_that_unfolds_is_read_row_by_row(tmp_path, monkeypatch):
    big = "word " * 40_000
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"text": [big] * 300}), path)
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    count = 0
    tracemalloc.start()
    for record in tables.read_parquet(path, ["text"]):
        count += len(record.values["text"]) == len(big)
        assert pa.total_allocated_bytes() - before < 10 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20
    assert count == 300
    monkeypatch.setattr(tables, "MAX_GROUP_BYTES", 100)
    with pytest.raises(ValueError, match="write it with smaller row groups"):
        read(path)


def test_plain_text_by_line_paragraph_and_passage(tmp_path):
    path = write(tmp_path / "a.txt", " = Head = \n\nOne.\nTwo.\n \nThree.\n")
    assert texts(path) == ["= Head =", "One.", "Two.", "Three."]
    assert texts(path, separator="paragraph") == ["= Head =", "One.\nTwo.", "Three."]
    assert texts(path, separator="passage") == ["= Head = \n\nOne.\nTwo.\n \nThree."]
    assert texts(path, min_characters=5) == ["= Head =", "Three."]
    long = write(tmp_path / "b.txt", "A sentence of words.\n" * 2000)
    passages = texts(long, separator="passage")
    assert len(passages) > 4
    assert all(len(passage) <= 8000 and passage[-1] == "." for passage in passages)
    assert "".join("".join(passages).split()) == "Asentenceofwords." * 2000


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t")])
def test_a_table_without_header_takes_the_names_given(tmp_path, name, mark):
    path = write(tmp_path / name, f"hello there{mark}fish\ngood bye{mark}fowl\n")
    found = read(path, columns=("text", "food"), label_columns=("food",))
    assert [(row.text, row.labels) for row in found] == [
        ("hello there", {"food": "fish"}),
        ("good bye", {"food": "fowl"}),
    ]
    with pytest.raises(ValueError, match=r"columns: hello there, fish; if these are values, .*"):
        read(path)
    with pytest.raises(ValueError, match=r":1: 2 values where the header has 3 columns"):
        read(path, columns=("text", "food", "area"))
    with pytest.raises(ValueError, match="repeats the column 'text'"):
        read(path, columns=("text", "text"))


def test_settings_a_file_does_not_read_are_refused(tmp_path):
    path = write(tmp_path / "a.txt", "one")
    with pytest.raises(ValueError, match="is plain text and has no columns"):
        read(path, label_columns=("k",))
    with pytest.raises(ValueError, match=r"separator is read for a \.txt only"):
        read(write(tmp_path / "a.csv", "text\na"), separator="paragraph")
