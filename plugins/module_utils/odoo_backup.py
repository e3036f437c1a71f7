# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odoo's backups: what is in one, and the SQL in it. No server is asked here.

A backup, as ``dump_db`` in odoo/service/db.py writes it from 8 to 19, is a zip of ``dump.sql`` (pg_dump, plain),
``filestore/`` (a file is named by the SHA-1 of its contents) and ``manifest.json``. Other tools keep the same in a
folder, with the database as ``db.dump`` (pg_dump, custom). Here attachments are rows of the database, so the SQL is
rewritten on its way in and out, line by line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

SQL = "dump.sql"
CUSTOM = "db.dump"
MANIFEST = "manifest.json"
FILES = "filestore/"
CUSTOM_MAGIC = b"PGDMP"
# What pg_dump writes last.
END = b"-- PostgreSQL database dump complete"
BLOCK = 1 << 20

# A newer pg_dump writes what an older psql does not know; owners, rights and schemas are the importing side's own.
_FOREIGN = re.compile(
    rb"\\(un)?restrict "
    rb"|(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) "
    rb"|ALTER .* OWNER TO [^;]+;$"
    rb"|(CREATE|COMMENT ON|ALTER) SCHEMA public\b"
    rb"|COMMENT ON EXTENSION "
    rb"|CREATE EXTENSION IF NOT EXISTS plpgsql\b"
)
_SETTING = re.compile(rb"SET (\w+) = ")
_COPY = re.compile(rb'COPY (?:public\.)?"?(\w+)"? \((.*)\) FROM stdin;$')
# Columns that are read of Odoo's tables; they are the same from 8 to 19.
_NEEDED = {
    "ir_module_module": {"name", "state", "latest_version"},
    "ir_config_parameter": {"key", "value"},
    "ir_attachment": {"store_fname", "db_datas", "file_size"},
}
_DOLLAR = re.compile(rb"\$[A-Za-z_]*\$")
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class Damaged(Exception):
    """The backup is not whole, or is none. The text is one line for a person."""


def size(count: int) -> str:
    """Bytes for a person, such as ``1.9 GB``."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" or value >= 10 else f"{value:.1f} {units[0]}"


def unescaped(value: bytes) -> bytes | None:
    """A value of COPY's text format (PostgreSQL's documentation, COPY); None: NULL."""
    if value == b"\\N":
        return None
    if b"\\" not in value:
        return value
    return re.sub(rb"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), value, flags=re.DOTALL)


def stored_as(content: bytes) -> str:
    """Where Odoo's file storage keeps contents: ``ir_attachment.store_fname``."""
    name = hashlib.sha1(content).hexdigest()
    return f"{name[:2]}/{name}"


@dataclass
class Contents:
    """What the SQL of a backup holds."""

    modules: dict[str, str] = field(default_factory=dict)  # installed: name → version that was loaded last
    parameters: dict[str, str] = field(default_factory=dict)  # system parameters
    files: dict[str, int] = field(default_factory=dict)  # store_fname → bytes that its row speaks of
    attachments: int = 0  # rows that have contents, in a file or by themselves
    largest: int = 0  # bytes of the largest attachment, by its row
    bytes: int = 0  # of SQL
    whole: bool = False  # pg_dump's last line is there

    @property
    def series(self) -> str:
        """Such as ``19.0``; empty: not a database of Odoo."""
        found = re.match(r"\d+\.\d+", self.modules.get("base", ""))
        return found[0] if found else ""


class Script:
    """Reads the SQL of a backup and passes on what may be run.

    :param settings: names of the server's settings; a ``SET`` of any other is left out. None: none is.
    :param content: contents of a file of the filestore, by its ``store_fname``, which come into the row; None: it is
                    not there. Without ``content`` every row stays as it is.
    """

    def __init__(
        self, settings: Iterable[str] | None = None, content: Callable[[str], bytes | None] | None = None
    ) -> None:
        self.contents = Contents()
        self._settings = None if settings is None else {name.encode() for name in settings}
        self._content = content

    def lines(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """The lines of ``source`` that may be run, rewritten where an attachment's contents come into its row."""
        columns: list[str] = []
        table, quoted = "", b""
        for line in source:
            self.contents.bytes += len(line)
            if columns:
                if line == b"\\.\n":
                    columns = []
                else:
                    try:
                        line = self._row(table, columns, line)
                    except (ValueError, LookupError) as error:
                        raise Damaged(f"a row of table {table} in it cannot be read: {error}") from error
                yield line
                continue
            text = line.rstrip(b"\n")
            if not quoted:
                copied = _COPY.match(text)
                if copied:
                    table = copied[1].decode()
                    columns = [name.strip(' "') for name in copied[2].decode().split(",")]
                    lacking = _NEEDED.get(table, set()) - set(columns)
                    if lacking:
                        raise Damaged(f"table {table} in it lacks column {sorted(lacking)[0]}, which Odoo's has")
                elif text.startswith(END):
                    self.contents.whole = True
                elif self._is_foreign(text):
                    continue
            for tag in _DOLLAR.findall(text):
                quoted = b"" if tag == quoted else quoted or tag
            yield line

    def _is_foreign(self, text: bytes) -> bool:
        if _FOREIGN.match(text):
            return True
        setting = _SETTING.match(text)
        return bool(setting and self._settings is not None and setting[1] not in self._settings)

    def _row(self, table: str, columns: list[str], line: bytes) -> bytes:
        if table not in _NEEDED:
            return line
        raw = line.rstrip(b"\n").split(b"\t")
        at = {name: index for index, name in enumerate(columns)}
        if table == "ir_attachment":
            return self._attachment(at, raw, line)

        def text(name: str) -> str:
            return (unescaped(raw[at[name]]) or b"").decode()

        if table == "ir_config_parameter":
            self.contents.parameters[text("key")] = text("value")
        elif text("state") in ("installed", "to upgrade", "to remove"):
            self.contents.modules[text("name")] = text("latest_version")
        return line

    def _attachment(self, at: Mapping[str, int], raw: list[bytes], line: bytes) -> bytes:
        file = (unescaped(raw[at["store_fname"]]) or b"").decode()
        data = raw[at["db_datas"]]
        if not file and data in (b"\\N", b"\\\\x"):
            return line
        size = int(unescaped(raw[at["file_size"]]) or 0)
        self.contents.attachments += 1
        self.contents.largest = max(self.contents.largest, size)
        if not file:
            return line
        self.contents.files[file] = size
        content = self._content(file) if self._content else None
        if content is None:
            return line
        raw[at["store_fname"]] = b"\\N"
        raw[at["db_datas"]] = b"\\\\x" + content.hex().encode()
        return b"\t".join(raw) + b"\n"


@dataclass(frozen=True)
class Filestore:
    """The files of a backup beside what the rows of its database name."""

    missing: list[str]  # named by a row, not there
    broken: list[str]  # what is in it is not what its name says
    spare: int  # there, named by no row: Odoo's own backups have some
    largest: int  # bytes of the largest that is named, whatever its row says


def filestore(archive: zipfile.ZipFile, files: Mapping[str, int]) -> Filestore:
    """Read each file of the filestore to its end.

    :raises Damaged: a file cannot be read.
    """
    there = {entry.filename[len(FILES) :] for entry in archive.infolist() if entry.filename.startswith(FILES)}
    there = {name for name in there if name and not name.endswith("/")}
    broken, largest = [], 0
    for name in sorted(there & set(files)):
        largest = max(largest, archive.getinfo(FILES + name).file_size)
        digest = hashlib.sha1()
        with opened(archive, FILES + name) as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != name.rpartition("/")[2]:
            broken.append(name)
    return Filestore(sorted(set(files) - there), broken, len(there - set(files)), largest)


@contextlib.contextmanager
def opened(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """An entry of an archive to read from.

    :raises Damaged: it cannot be read to its end.
    """
    try:
        with archive.open(name) as stream:
            yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Damaged(f"{name} in the backup is damaged: {error}") from error
    except RuntimeError as error:  # encrypted, or compressed in a way that Python does not know
        raise Damaged(f"{name} in the backup cannot be unpacked: {error}") from error


def archive_of(path: str) -> zipfile.ZipFile:
    """The zip, if it holds a backup.

    :raises Damaged: it does not.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise Damaged(f"it is not a whole zip ({error}); a backup that was cut off ends like that") from None
    names = set(archive.namelist())
    if not {SQL, CUSTOM} & names:
        raise Damaged(f"it holds neither {SQL} nor {CUSTOM}, so it is no backup of Odoo's")
    return archive


def manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What the backup says of itself; empty: it says nothing, as one of pg_dump alone."""
    try:
        found = json.loads(archive.read(MANIFEST))
    except KeyError:
        return {}
    except ValueError as error:
        raise Damaged(f"{MANIFEST} is no JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def pack(source: Path, files: Path | None, target: Path) -> None:
    """One zip of a backup that is a folder, or a dump and a filestore beside it. Nothing is compressed.

    :param source: a folder with ``dump.sql`` or ``db.dump`` and ``filestore``; or a dump of pg_dump, plain or custom.
    :param files: with a dump: the filestore, a folder or a tar of one; ``ab/abcdef…`` in it may lie at any depth.
    :raises Damaged: it is none of that.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        if source.is_dir():
            dumps = [source / name for name in (SQL, CUSTOM) if (source / name).is_file()]
            if len(dumps) != 1:
                raise Damaged(
                    f"the folder holds {'both' if dumps else 'neither'} {SQL} {'and' if dumps else 'nor'} {CUSTOM}"
                )
            packed.write(dumps[0], dumps[0].name)
            if (source / MANIFEST).is_file():
                packed.write(source / MANIFEST, MANIFEST)
            files = source / FILES if (source / FILES).is_dir() else files
        else:
            with source.open("rb") as stream:
                start = stream.read(4096)
            if start.startswith(b"PK"):
                raise Damaged("it is not a whole zip; a backup that was cut off ends like that")
            custom = start.startswith(CUSTOM_MAGIC)
            if not custom and b"PostgreSQL database dump" not in start:
                raise Damaged("it is neither a zip, nor a dump of pg_dump")
            packed.write(source, CUSTOM if custom else SQL)
        if files is not None:
            _pack_files(files, packed)


_STORED = re.compile(r"(?:^|/)([0-9a-f]{2}/[0-9a-f]{40})$")


def _pack_files(files: Path, packed: zipfile.ZipFile) -> None:
    if files.is_dir():
        for path in sorted(files.rglob("*")):
            stored = _STORED.search(path.as_posix())
            if stored and path.is_file():
                packed.write(path, FILES + stored[1])
        return
    try:
        with tarfile.open(files) as tar:
            for member in tar:
                stored = _STORED.search(member.name)
                stream = tar.extractfile(member) if stored and member.isfile() else None
                if stored and stream:
                    with packed.open(zipfile.ZipInfo(FILES + stored[1]), "w", force_zip64=True) as entry:
                        while block := stream.read(BLOCK):
                            entry.write(block)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Damaged(f"{files} is no whole tar of a filestore: {error}") from None
