# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a backup of Odoo, and which of its SQL may be run."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import (
    Damaged,
    Script,
    archive_of,
    filestore,
    manifest,
    opened,
    pack,
    stored_as,
    unescaped,
)
from hypothesis import given
from hypothesis import strategies as st

CONTENT = b"a picture\x00\xff"
STORED = stored_as(CONTENT)
ATTACHMENT = "COPY public.ir_attachment (id, name, store_fname, db_datas, file_size) FROM stdin;\n"
END = "\\.\n"


def dump(*parts: str) -> list[bytes]:
    text = "".join(parts) + "--\n-- PostgreSQL database dump complete\n--\n"
    return text.encode().splitlines(keepends=True)


def passed(lines: list[bytes], **options: object) -> tuple[str, Script]:
    script = Script(**options)  # type: ignore[arg-type]
    return b"".join(script.lines(lines)).decode(), script


@pytest.mark.parametrize(
    "line",
    [
        "\\restrict abc\n",
        "\\unrestrict abc\n",
        "GRANT ALL ON TABLE public.x TO somebody;\n",
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC;\n",
        "ALTER DEFAULT PRIVILEGES FOR ROLE x GRANT ALL ON TABLES TO y;\n",
        "ALTER TABLE public.res_users OWNER TO openerp;\n",
        'ALTER SEQUENCE public.s OWNER TO "old owner";\n',
        "CREATE SCHEMA public;\n",
        "COMMENT ON SCHEMA public IS 'standard';\n",
        "COMMENT ON EXTENSION plpgsql IS 'x';\n",
        "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;\n",
        "SET transaction_timeout = 0;\n",
    ],
)
def test_what_belongs_to_the_other_server_is_left_out(line: str) -> None:
    text, script = passed(dump("CREATE TABLE a ();\n", line, "CREATE TABLE b ();\n"), settings=["row_security"])
    assert text == "CREATE TABLE a ();\nCREATE TABLE b ();\n--\n-- PostgreSQL database dump complete\n--\n"
    assert script.contents.whole


@pytest.mark.parametrize(
    "line",
    [
        "SET row_security = off;\n",
        "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;\n",
        "ALTER TABLE ONLY public.a ADD CONSTRAINT b PRIMARY KEY (id);\n",
        "ALTER SEQUENCE public.s OWNED BY public.a.id;\n",
        "\\! touch /tmp/x\n",  # psql itself refuses it, once it is restricted
    ],
)
def test_the_rest_is_passed_on(line: str) -> None:
    assert line in passed(dump(line), settings=["row_security"])[0]


def test_a_body_of_a_function_and_a_row_are_never_touched() -> None:
    body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$\nGRANT x TO y;\nSET unknown = 1;\n$_$;\n"
    rows = "COPY public.note (text) FROM stdin;\nGRANT x TO y;\nCREATE SCHEMA public;\n\\restrict\n" + END
    text, _script = passed(dump(body, rows, "GRANT a TO b;\n"), settings=[])
    assert body in text
    assert rows in text
    assert "GRANT a TO b" not in text


def test_it_says_what_is_in_it() -> None:
    modules = "COPY public.ir_module_module (id, name, state, latest_version) FROM stdin;\n"
    modules += "1\tbase\tinstalled\t19.0.1.3\n2\tsale\tto upgrade\t19.0.1.2\n3\tcrm\tuninstalled\t\\N\n" + END
    parameters = (
        'COPY public.ir_config_parameter ("key", value) FROM stdin;\nodoo_deploy.state\tready\nx\ta\\tb\n' + END
    )
    rows = ATTACHMENT + f"1\ta\t{STORED}\t\\N\t11\n2\tb\t\\N\t\\\\x00ff\t2\n3\tlink\t\\N\t\\N\t0\n" + END
    _text, script = passed(dump(modules, parameters, rows))
    contents = script.contents
    assert contents.modules == {"base": "19.0.1.3", "sale": "19.0.1.2"}
    assert contents.series == "19.0"
    assert contents.parameters == {"odoo_deploy.state": "ready", "x": "a\tb"}
    assert (contents.attachments, contents.largest, contents.files) == (2, 11, {STORED: 11})


def test_a_dump_that_was_cut_off_is_not_whole() -> None:
    _text, script = passed(dump("CREATE TABLE a ();\n")[:-2])
    assert not script.contents.whole


def test_contents_come_into_their_row() -> None:
    gone = "00/" + "0" * 40
    rows = ATTACHMENT + f"1\ta\\tb\t{STORED}\t\\N\t11\n2\tb\t{gone}\t\\N\t5\n" + END
    text, _script = passed(dump(rows), content={STORED: CONTENT}.get)
    assert f"1\ta\\tb\t\\N\t\\\\x{CONTENT.hex()}\t11\n" in text
    assert f"2\tb\t{gone}\t\\N\t5\n" in text  # as it was: Odoo shows an empty file, not an error


def test_a_table_of_something_else_is_damaged() -> None:
    with pytest.raises(Damaged, match="lacks column db_datas"):
        passed(dump("COPY public.ir_attachment (id, store_fname, file_size) FROM stdin;\n", END))


@given(st.binary())
def test_values_are_read_as_copy_writes_them(value: bytes) -> None:
    written = value.replace(b"\\", b"\\\\")
    for plain, escaped in (
        (b"\n", b"\\n"),
        (b"\t", b"\\t"),
        (b"\r", b"\\r"),
        (b"\b", b"\\b"),
        (b"\f", b"\\f"),
        (b"\v", b"\\v"),
    ):
        written = written.replace(plain, escaped)
    assert unescaped(written) == value
    assert unescaped(b"\\N") is None


def backup(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_each_file_is_compared_with_its_name(tmp_path: Path) -> None:
    other = stored_as(b"other")
    gone = stored_as(b"gone")
    path = backup(
        tmp_path / "b.zip",
        {
            "dump.sql": b"",
            f"filestore/{STORED}": CONTENT,
            f"filestore/{other}": b"changed",
            "filestore/checklist/x": b"",
        },
    )
    with archive_of(str(path)) as archive:
        found = filestore(archive, {STORED: 11, other: 5, gone: 4})
    assert (found.missing, found.broken, found.spare) == ([gone], [other], 1)


def test_a_file_is_as_large_as_it_is(tmp_path: Path) -> None:
    """Whatever its row says: it is held in memory on its way into the row."""
    spare = stored_as(b"x" * 99)
    files = {"dump.sql": b"", f"filestore/{STORED}": CONTENT, f"filestore/{spare}": b"x" * 99}
    with archive_of(str(backup(tmp_path / "b.zip", files))) as archive:
        assert filestore(archive, {STORED: 1}).largest == len(CONTENT)
        assert filestore(archive, {}).largest == 0


def test_a_damaged_file_is_told_by_its_name(tmp_path: Path) -> None:
    path = backup(tmp_path / "b.zip", {"dump.sql": b"x", f"filestore/{STORED}": CONTENT * 100})
    data = bytearray(path.read_bytes())
    data[data.find(CONTENT) + 3] ^= 1
    path.write_bytes(data)
    with archive_of(str(path)) as archive, pytest.raises(Damaged, match=STORED):
        filestore(archive, {STORED: 1100})


@pytest.mark.parametrize(("at", "value"), [(6, 1), (8, 9)], ids=["encrypted", "Deflate64, as Windows has it"])
def test_what_python_cannot_unpack_is_told(tmp_path: Path, at: int, value: int) -> None:
    path = backup(tmp_path / "b.zip", {"dump.sql": b"x"})
    data = bytearray(path.read_bytes())
    data[at] = data[data.find(b"PK\x01\x02") + at + 2] = value  # in the entry's own header, and in the directory
    path.write_bytes(data)
    with (
        archive_of(str(path)) as archive,
        pytest.raises(Damaged, match=r"dump\.sql in the backup"),
        opened(archive, "dump.sql"),
    ):
        pass


@pytest.mark.parametrize("row", ["1\tx\n", "1\tx\tab/c\t\\N\tmany\n", "1\tx\t\udcff\t\\N\t1\n"])
def test_a_row_that_cannot_be_read_is_told(row: str) -> None:
    lines = [line.encode(errors="surrogateescape") for line in (ATTACHMENT, row, END)]
    with pytest.raises(Damaged, match="a row of table ir_attachment in it cannot be read"):
        list(Script().lines(lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no zip", "not a whole zip"), (None, "not a whole zip"), ({"a": b""}, "neither dump.sql nor db.dump")],
)
def test_what_is_no_backup_is_told(tmp_path: Path, content: bytes | dict[str, bytes] | None, message: str) -> None:
    path = tmp_path / "b.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        backup(path, content)
    with pytest.raises(Damaged, match=message):
        archive_of(str(path))


def test_a_manifest_may_be_missing_but_not_broken(tmp_path: Path) -> None:
    said = {"major_version": "19.0"}
    for name, files, expected in (("a", {}, {}), ("b", {"manifest.json": json.dumps(said).encode()}, said)):
        with archive_of(str(backup(tmp_path / name, {"dump.sql": b"", **files}))) as archive:
            assert manifest(archive) == expected
    with (
        archive_of(str(backup(tmp_path / "c", {"dump.sql": b"", "manifest.json": b"{"}))) as archive,
        pytest.raises(Damaged),
    ):
        manifest(archive)


SQL = b"--\n-- PostgreSQL database dump\n--\n"


def tree(root: Path) -> Path:
    (root / STORED).parent.mkdir(parents=True)
    (root / STORED).write_bytes(CONTENT)
    (root / "checklist").mkdir()
    (root / "checklist" / "note").write_text("x")
    return root


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        return set(packed.namelist())


@pytest.mark.parametrize(("dump_name", "content"), [("dump.sql", SQL), ("db.dump", b"PGDMP\x01")])
def test_a_folder_becomes_one_zip(tmp_path: Path, dump_name: str, content: bytes) -> None:
    folder = tmp_path / "backup"
    tree(folder / "filestore")
    (folder / dump_name).write_bytes(content)
    (folder / "manifest.json").write_text("{}")
    pack(folder, None, tmp_path / "out.zip")
    assert names(tmp_path / "out.zip") == {dump_name, "manifest.json", f"filestore/{STORED}"}


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz"])
def test_a_dump_and_its_files_become_one_zip(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "x.dump"
    source.write_bytes(b"PGDMP\x01")
    files = tree(tmp_path / "data" / "filestore" / "mydb")
    if kind != "folder":
        with tarfile.open(tmp_path / "files.tar", "w:gz" if kind == "tar.gz" else "w") as tar:
            tar.add(files, "filestore/mydb")
        files = tmp_path / "files.tar"
    pack(source, files, tmp_path / "out.zip")
    assert names(tmp_path / "out.zip") == {"db.dump", f"filestore/{STORED}"}
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert hashlib.sha1(packed.read(f"filestore/{STORED}")).hexdigest() == STORED[3:]


def test_nothing_else_becomes_a_zip(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "both").mkdir()
    for name in ("dump.sql", "db.dump"):
        (tmp_path / "both" / name).write_bytes(SQL)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dump.sql").write_bytes(SQL)
    (tmp_path / "no.tar").write_bytes(io.BytesIO(b"x" * 600).read())
    for source, files, message in (
        ("text", None, "neither a zip"),
        ("cut.zip", None, "not a whole zip"),
        ("both", None, "both dump.sql and db.dump"),
        ("empty", None, "neither dump.sql nor db.dump"),
        ("dump.sql", tmp_path / "no.tar", "no whole tar"),
    ):
        with pytest.raises(Damaged, match=message):
            pack(tmp_path / source, files, tmp_path / "out.zip")
