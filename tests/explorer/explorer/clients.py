# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that write one row after another and remember which of them a server acknowledged.

They find the primary as Odoo does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import psycopg

from explorer.oracle import Row

TABLE = "odoo_deploy_explorer"
PAUSE = 0.03
# Odoo's tables are large and change all the time, so a checkpoint takes minutes: here a megabyte every two seconds.
BULK = f"""
UPDATE {TABLE}_bulk SET filler = repeat(chr(97 + (random() * 25)::int), 400) WHERE number % 8 = (random() * 7)::int
"""
BULK_PAUSE = 2.0
# Where a server keeps a connection and does not answer, a client gives up; the row is not acknowledged.
PATIENCE = 4.0


class Clients(threading.Thread):
    """One writer for each connection string, all in one thread."""

    def __init__(self, conninfos: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.conninfos = conninfos
        self.acknowledged: list[Row] = []
        self.errors: list[str] = []
        self._ending = threading.Event()

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(
            *(self._write(name, conninfo) for name, conninfo in self.conninfos.items()),
            self._change(next(iter(self.conninfos.values()))),
        )

    async def _write(self, name: str, conninfo: str) -> None:
        number = 0
        while not self._ending.is_set():
            connection = None
            try:
                connection = await asyncio.wait_for(
                    psycopg.AsyncConnection.connect(conninfo, autocommit=True), PATIENCE * 2
                )
                while not self._ending.is_set():
                    number += 1
                    row = connection.execute(f"INSERT INTO {TABLE} VALUES (%s, %s)", (name, number))
                    await asyncio.wait_for(row, PATIENCE)
                    self.acknowledged.append(Row(name, number, time.monotonic()))
                    await asyncio.sleep(PAUSE)
            except (psycopg.Error, TimeoutError, OSError) as error:
                self.errors.append(f"{name}: {error!r}".splitlines()[0])
                await asyncio.sleep(0.1)
            finally:
                if connection is not None:
                    with contextlib.suppress(psycopg.Error, TimeoutError, OSError):
                        await asyncio.wait_for(connection.close(), 1)

    async def _change(self, conninfo: str) -> None:
        """Makes many pages dirty; nobody counts these rows."""
        while not self._ending.is_set():
            try:
                async with await asyncio.wait_for(
                    psycopg.AsyncConnection.connect(conninfo, autocommit=True), PATIENCE * 2
                ) as connection:
                    await asyncio.wait_for(connection.execute(BULK), PATIENCE)
            except (psycopg.Error, TimeoutError, OSError) as error:
                self.errors.append(f"bulk: {error!r}".splitlines()[0])
            for _round in range(int(BULK_PAUSE / 0.2)):
                if not self._ending.is_set():
                    await asyncio.sleep(0.2)

    def end(self) -> list[Row]:
        """Ends the thread and returns what was acknowledged."""
        self._ending.set()
        self.join(timeout=30)
        return list(self.acknowledged)
