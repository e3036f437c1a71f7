# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes one row after another and remembers which of them the server acknowledged.

It finds the primary as Odoo does: libpq tries every server of the list until one is writable.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

import psycopg

TABLE = "odoo_deploy_failover_writer"


@dataclass
class Record:
    """What the writer saw: numbers of the rows, monotonic seconds of their acknowledgement, errors in between."""

    acknowledged: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def gap(self, since: float = 0.0) -> float:
        """Longest time between two acknowledgements after a moment, seconds."""
        times = [moment for moment in self.times if moment >= since]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=float("inf"))


class Writer(threading.Thread):
    """Writes until stop(); rows are numbered from 1 within a run."""

    def __init__(self, conninfo: str, run: str, pause: float = 0.005) -> None:
        super().__init__(daemon=True)
        self.conninfo = conninfo
        self.run_name = run
        self.pause = pause
        self.record = Record()
        self._stopping = threading.Event()

    def prepare(self) -> None:
        """Makes the table; needs a writable server."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (run text, number int, PRIMARY KEY (run, number))")

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True) as connection:
                    while not self._stopping.is_set():
                        number += 1
                        connection.execute(f"INSERT INTO {TABLE} VALUES (%s, %s)", (self.run_name, number))
                        self.record.acknowledged.append(number)
                        self.record.times.append(time.monotonic())
                        time.sleep(self.pause)
            except psycopg.Error as error:
                self.record.errors.append(str(error).splitlines()[0])
                time.sleep(0.05)

    def stop(self) -> Record:
        """Ends the thread and returns what it saw."""
        self._stopping.set()
        self.join(timeout=30)
        return self.record

    def lost(self) -> list[int]:
        """Acknowledged rows that the primary does not hold now."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            rows = connection.execute(f"SELECT number FROM {TABLE} WHERE run = %s", (self.run_name,)).fetchall()
        return sorted(set(self.record.acknowledged) - {row[0] for row in rows})

    def drop(self) -> None:
        """Takes the table away."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {TABLE}")


class Watcher(threading.Thread):
    """Asks one server all the time whether it accepts writes, which an old primary must never do after its return."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(daemon=True)
        self.conninfo = conninfo
        self.asked = 0
        self.answered = 0
        self.writable = 0
        self.times: list[float] = []  # monotonic seconds at which it was asked, where it was writable
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            self.asked += 1
            try:
                with psycopg.connect(self.conninfo, autocommit=True) as connection:
                    moment = time.monotonic()
                    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                self.answered += 1
                if row is not None and not row[0]:
                    self.writable += 1
                    self.times.append(moment)
            except psycopg.Error:
                pass
            time.sleep(0.05)

    def stop(self) -> Watcher:
        """Ends the thread."""
        self._stopping.set()
        self.join(timeout=30)
        return self
