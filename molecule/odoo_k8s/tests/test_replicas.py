# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three pods, one Odoo: each test starts on one pod and looks on the others."""

from __future__ import annotations

import base64
import os
import re
import time

from conftest import Deployment, eventually, sql

SIGNAL_ALL = """
import os, sys
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        os.kill(int(name), int(sys.argv[1]))
"""


def test_a_session_is_good_on_every_pod_until_it_ends_on_one(deployment: Deployment) -> None:
    """Log in on A, work on B and C, log out on C, dead on A."""
    a, b, c = deployment.pods()
    session = deployment.login(a)
    for pod in (b, c):
        assert pod.call(session, "res.users", "read", [2], ["login"])[0]["login"] == "admin"
    c.rpc("/web/session/destroy", {}, session)
    answer = a.rpc(
        "/web/dataset/call_kw", {"model": "res.users", "method": "search", "args": [[]], "kwargs": {}}, session
    )
    assert answer["error"]["code"] == 100, "the session should be over"


def test_an_attachment_is_the_same_bytes_on_every_pod(deployment: Deployment) -> None:
    """Upload on A, download from B and C."""
    a, *others = deployment.pods()
    session, content = deployment.login(a), os.urandom(300_000)
    number = a.call(
        session, "ir.attachment", "create", {"name": "proof.bin", "datas": base64.b64encode(content).decode()}
    )
    for pod in others:
        status, _unused, body = pod.request("GET", f"/web/content/{number}", Cookie=session)
        assert (status, body) == (200, content)


def test_all_pods_name_the_same_assets(deployment: Deployment) -> None:
    """The login page links the same hashed bundles, whoever renders it."""
    links = {
        tuple(sorted(re.findall(rb"/web/(?:content|assets)/[^\"']+", pod.request("GET", "/web/login")[2])))
        for pod in deployment.pods()
    }
    assert len(links) == 1
    assert links.pop()


SEND = """
import time
env["bus.bus"]._sendone(CHANNEL, "proof", {"hello": "C"})
env.cr.commit()
print("sent", time.time())
"""


def test_a_message_on_the_bus_crosses_pods(deployment: Deployment) -> None:
    """A browser that listens on C by its websocket hears within 2 s what a process of A sent."""
    a, _unused, c = deployment.pods()
    channel = f"proof-{time.time()}"
    with c.websocket(deployment.login(a)) as socket:
        socket.send({"event_name": "subscribe", "data": {"channels": [channel], "last": 0}})
        time.sleep(3)
        output = a.shell(SEND.replace("CHANNEL", repr(channel)))
        sent = re.search(r"^sent ([0-9.]+)$", output, re.MULTILINE)
        assert sent, output
        when, messages = socket.receive(seconds=30)
    assert [message["message"] for message in messages] == [{"type": "proof", "payload": {"hello": "C"}}]
    assert when - float(sent[1]) < 2


def test_a_hung_pod_leaves_the_rotation_and_comes_back(deployment: Deployment) -> None:
    """All processes of one pod are stopped (SIGSTOP): not ready within 15 s, ready after SIGCONT, never restarted."""
    pod = deployment.pods()[1]
    before = pod.restarts()
    pod.run("python3", "-c", SIGNAL_ALL, "19")
    try:
        assert eventually(lambda: not pod.ready(), 20, "the pod is out of rotation") <= 15.5
    finally:
        pod.run("python3", "-c", SIGNAL_ALL, "18")
    eventually(pod.ready, 30, "the pod is back")
    assert pod.restarts() == before


QUEUE = """
import os, signal, socket
workers = []
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()) and "gevent" not in open(f"/proc/{name}/cmdline").read():
        workers.append(int(name))
held = []
for worker in workers:
    os.kill(worker, signal.SIGSTOP)
try:
    while len(held) < 60:
        held.append(socket.create_connection(("127.0.0.1", 8069), timeout=2))
except OSError:
    pass
finally:
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
print("connected", len(held))
"""


def test_a_burst_waits_instead_of_being_dropped(deployment: Deployment) -> None:
    """While no worker moves, 60 connections to a pod are taken and wait for one."""
    pod = deployment.pods()[2]
    assert "connected 60" in pod.run("python3", "-c", QUEUE)
    eventually(pod.ready, 30, "the pod is in rotation")


PURGE = """
env["ir.http"]._gc_sessions()
"""


def test_old_sessions_are_purged(host, deployment: Deployment) -> None:
    """Odoo's own daily clean-up removes sessions unused for a week and leaves the others."""
    pod = deployment.pods()[0]
    session = deployment.login(pod)
    old = "INSERT INTO http_sessions VALUES ('proof-{0}', now() AT TIME ZONE 'UTC' - interval '{0} days', '{{}}')"
    for days in (6, 8):
        sql(host, "session_db", old.format(days))
    said = pod.shell(PURGE)
    assert sql(host, "session_db", "SELECT sid FROM http_sessions WHERE sid LIKE 'proof-%'") == "proof-6", said
    assert pod.call(session, "res.users", "read", [2], ["login"])[0]["login"] == "admin"
    sql(host, "session_db", "DELETE FROM http_sessions WHERE sid LIKE 'proof-%'")


def test_first_request_of_a_fresh_pod_is_warm(deployment: Deployment) -> None:
    """Ready means warm: the first request takes at most twice the steady one (250 ms are always fine)."""
    old = {pod.name for pod in deployment.pods()}
    deployment.core.delete_namespaced_pod(deployment.pods()[0].name, "odoo")
    eventually(
        lambda: any(p.name not in old and p.ready() for p in deployment.pods()) and len(deployment.pods()) == 3,
        120,
        "a new pod is ready",
    )
    fresh = next(p for p in deployment.pods() if p.name not in old)
    times = []
    for _unused in range(12):
        started = time.monotonic()
        assert fresh.request("GET", "/web/login")[0] == 200
        times.append(time.monotonic() - started)
    steady = sorted(times[4:])[len(times[4:]) // 2]
    assert times[0] <= max(2 * steady, 0.25), f"first {times[0]:.3f} s, steady {steady:.3f} s"
