# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes under load."""

from __future__ import annotations

import threading
import time

from conftest import Edge

testinfra_hosts = ["plain"]


def test_reload_drops_no_request(edge: Edge) -> None:
    """Six clients ask for pages and files without a pause while nginx is reloaded five times: every answer is 200."""
    stop = threading.Event()
    failures: list[str] = []
    count = [0] * 6
    path = edge.file()

    def client(index: int) -> None:
        while not stop.is_set():
            try:
                answer = edge.ask("/web" if index % 2 else path)
                if answer.status != 200:
                    failures.append(str(answer.status))
            except OSError as problem:
                failures.append(repr(problem))
            count[index] += 1

    clients = [threading.Thread(target=client, args=(index,)) for index in range(6)]
    for thread in clients:
        thread.start()
    with edge.machine.sudo():
        for _unused in range(5):
            edge.machine.check_output("systemctl reload nginx")
            time.sleep(0.5)
    stop.set()
    for thread in clients:
        thread.join()
    assert failures == []
    assert min(count) > 20


def test_request_under_way_survives_a_reload(edge: Edge) -> None:
    """A report that takes three seconds is delivered although nginx is reloaded meanwhile."""
    edge.mode(delay=3)
    answers: list[int] = []
    report = threading.Thread(target=lambda: answers.append(edge.ask("/report/pdf/1").status))
    report.start()
    time.sleep(0.5)
    with edge.machine.sudo():
        edge.machine.check_output("systemctl reload nginx")
    report.join()
    assert answers == [200]
