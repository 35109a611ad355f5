"""The CSV rule: total, a line at a time, whatever the size of the blocks."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import SourceError
from dpsynth.table import lines
from dpsynth.table.lines import Header, read_header, read_records, split

ALPHABET = b'ab,,""  \r\x00\xff\xc3\xa9'
line = st.lists(st.sampled_from([bytes([byte]) for byte in ALPHABET]), max_size=14).map(b"".join)
tidy = st.lists(
    st.one_of(st.text("ab é", max_size=3), st.text("ab,é", max_size=3).map('"{}"'.format)), min_size=1, max_size=4
).map(lambda fields: ",".join(fields).encode())
mixed = st.lists(st.one_of(line, tidy), max_size=12)

Records = list[list[bytes | None]]


def rule(rows: list[bytes], width: int, limit: int) -> Records:
    """The documented rule, word for word: lines to records."""
    result = []
    for row in rows:
        row = row.removesuffix(b"\r")
        if row or width == 1:
            fields = split(row[:limit])
            result.append([field or None for field in (fields + [b""] * width)[:width]])
    return result


def read(path: Path, block: int = lines.BLOCK) -> Records:
    header = read_header(path)
    batches = [
        list(zip(*(column.to_pylist() for column in batch), strict=True))
        for batch in read_records(path, header, range(len(header.names)), block)
    ]
    return [list(record) for batch in batches for record in batch]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "rows.csv"


class TestSplit:
    @settings(deadline=None)
    @given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=6), min_size=1))
    def test_reads_what_the_csv_module_writes(self, fields: list[str]) -> None:
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(fields)
        assert split(out.getvalue().encode()) == [field.encode() for field in fields]

    @settings(deadline=None)
    @given(st.lists(st.sampled_from('ab," '), max_size=12).map("".join))
    def test_reads_any_line_as_the_csv_module(self, text: str) -> None:
        expected = next(csv.reader([text]), [])
        assert split(text.encode()) == [field.encode() for field in expected or [""]]

    @pytest.mark.parametrize(
        ("text", "fields"),
        [
            (b"", [b""]),
            (b",", [b"", b""]),
            (b'"a,b",c', [b"a,b", b"c"]),
            (b'"a""b",c', [b'a"b', b"c"]),
            (b'"a,b', [b"a,b"]),
            (b'"a""', [b'a"']),
            (b'a"b,c', [b'a"b', b"c"]),
            (b'"a"b"c,d', [b'ab"c', b"d"]),
            (b'"",', [b"", b""]),
            (b"a\x00b,\xff", [b"a\x00b", b"\xff"]),
        ],
    )
    def test_by_hand(self, text: bytes, fields: list[bytes]) -> None:
        assert split(text) == fields

    def test_long_fields_take_linear_time(self) -> None:
        field = b'""' * 400_000
        assert split(b'"' + field) == [b'"' * 400_000]


class TestRecords:
    @settings(deadline=None)
    @given(mixed, st.integers(1, 4), st.integers(1, 40), st.booleans())
    def test_follow_the_rule_for_any_block(
        self, file: Path, rows: list[bytes], width: int, block: int, ended: bool
    ) -> None:
        head = b",".join(b"c%d" % number for number in range(width))
        file.write_bytes(head + b"\n" + b"\n".join(rows) + (b"\n" if ended and rows else b""))
        if not ended and rows and not rows[-1]:
            rows = rows[:-1]  # nothing after the last line end is no record
        expected = rule(rows, width, lines.LINE)
        assert read(file, block) == expected
        assert read(file) == expected

    @settings(deadline=None)
    @given(mixed, st.integers(1, 3), st.integers(1, 40))
    def test_a_long_line_is_cut_for_any_block(self, file: Path, rows: list[bytes], width: int, block: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "LINE", 8)
            file.write_bytes(b"a,b,c"[: 2 * width - 1] + b"\n" + b"".join(row + b"\n" for row in rows))
            assert read(file, block) == rule(rows, width, 8)

    @settings(deadline=None)
    @given(mixed, line, st.integers(0, 11))
    def test_a_row_never_changes_another(self, file: Path, rows: list[bytes], other: bytes, at: int) -> None:
        at = min(at, len(rows))
        found = []
        for added in ([], [other]):
            file.write_bytes(b"a,b\n" + b"".join(row + b"\n" for row in [*rows[:at], *added, *rows[at:]]))
            found.append(read(file))
        size = len(rule(rows[:at], 2, lines.LINE))
        extra = len(found[1]) - len(found[0])
        assert extra in (0, 1)
        assert found[1][:size] + found[1][size + extra :] == found[0]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_line_ends_and_byte_order_mark(self, file: Path, end: bytes, mark: bytes) -> None:
        file.write_bytes(mark + end.join([b'"a",b', b'1,"2"', b"", b'"3', b"4,5"]))
        assert read_header(file).names == ("a", "b")
        assert read(file) == [[b"1", b"2"], [b"3", None], [b"4", b"5"]]

    def test_blank_lines_are_records_of_a_single_column(self, file: Path) -> None:
        file.write_bytes(b"a\n1\n\n2\n")
        assert read(file) == [[b"1"], [None], [b"2"]]

    def test_only_the_wanted_columns_in_the_order_wanted(self, file: Path) -> None:
        file.write_bytes(b'a,b,c\n1,2,3\n4\n"x""y",5,6\n')
        batches = list(read_records(file, read_header(file), [2, 0]))
        assert [column.to_pylist() for column in batches[0]] == [[b"3", None, b"6"], [b"1", b"4", b'x"y']]

    def test_offsets_and_nulls_make_a_valid_array(self, file: Path) -> None:
        file.write_bytes(b"a,b\n" + b'1,"x,y"\n,\n\xff,"\n' * 20)
        for column in next(iter(read_records(file, read_header(file), [0, 1]))):
            column.validate(full=True)
            assert column.type == pa.large_binary()

    @pytest.mark.parametrize("content", [b"a,b", b"a,b\n", b"a,b\r", b"a,b\r\n"])
    def test_no_row_is_no_record(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        assert read(file) == []


class TestHeader:
    def test_is_read_by_the_same_rule(self, file: Path) -> None:
        file.write_bytes(b'" a ","b,c","d""e"\n')
        assert read_header(file) == Header(("a", "b,c", 'd"e'), 19, 10)

    @pytest.mark.parametrize("content", [b"", b"\n", b",,\n1,2,3\n", b"\xef\xbb\xbf", b"x" * (lines.LINE + 9)])
    def test_without_one(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(SourceError, match=r"rows\.csv: no header"):
            read_header(file)

    def test_of_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"no\.csv: the file cannot be read") as caught:
            read_header(tmp_path / "no.csv")
        assert str(tmp_path) not in str(caught.value)
