"""Exports hold the same rows as the list, in formats that other programs read."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from freehold.receipts.export import ExportError, export, export_file
from freehold.receipts.query import Filter, open_readonly
from freehold.receipts.rows import COLUMNS
from tests.receipts.story import make_receipt, write_ledger, write_numbers

EVERYTHING = Filter(limit=0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    write_numbers(path, 120)
    write_ledger(path, [make_receipt(120, error='quote " comma , line\nend', agent="ünï")])
    return path


def exported(home: Path, kind: str, wanted: Filter = EVERYTHING) -> bytes:
    out = io.BytesIO()
    with open_readonly(home) as db:
        export(db, wanted, kind, out)  # type: ignore[arg-type]
    return out.getvalue()


def test_csv_has_a_header_and_survives_any_text(home: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(home, "csv").decode())))
    assert len(rows) == 121 and tuple(rows[0]) == COLUMNS
    assert (rows[0]["error"], rows[0]["agent"]) == ('quote " comma , line\nend', "ünï")


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_takes_a_name_in_csv_for_a_formula(tmp_path: Path, name: str) -> None:
    write_ledger(tmp_path, [make_receipt(0, agent=name)])
    (row,) = csv.DictReader(io.StringIO(exported(tmp_path, "csv").decode(), newline=""))
    assert row["agent"] == f"'{name}"


def test_other_formats_have_names_as_they_are(tmp_path: Path) -> None:
    write_ledger(tmp_path, [make_receipt(0, agent="=cmd()")])
    assert json.loads(exported(tmp_path, "jsonl"))["agent"] == "=cmd()"


def test_json_lines_have_one_receipt_each(home: Path) -> None:
    rows = [json.loads(line) for line in exported(home, "jsonl").splitlines()]
    assert [row["seq"] for row in rows] == list(range(120, -1, -1))
    assert rows[-1]["cost_nanos"] == make_receipt(0).cost_nanos


def test_parquet_keeps_types_and_filters(home: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(exported(home, "parquet", Filter(project="project1", limit=0))))
    assert table.num_rows == 60 and table.schema.field("cost_nanos").type == "int64"
    assert sum(table["cost_nanos"].to_pylist()) == sum(number * 7 + 1 for number in range(1, 120, 2))


def test_a_limit_limits(home: Path) -> None:
    assert len(exported(home, "jsonl", Filter(limit=7)).splitlines()) == 7


def test_without_pyarrow_the_error_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match=r"pip install 'freehold\[parquet\]'"):
        exported(home, "parquet")


def test_a_failed_export_leaves_no_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_readonly(home) as db:
        assert export_file(db, EVERYTHING, "csv", tmp_path / "all.csv") == 121
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ExportError):
            export_file(db, EVERYTHING, "parquet", tmp_path / "all.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]
