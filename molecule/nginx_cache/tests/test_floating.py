# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address that both proxies share, under load, while the one that has it goes away."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import testinfra

testinfra_hosts = ["plain"]

CLIENTS = 4


@dataclass
class Load:
    """Clients that ask for the health page without a pause, each request on a connection of its own.

    Attributes:
        address: the floating address.
        answered: when each answer came, with its body: the release of the proxy that gave it.
        failed: what went wrong, one entry a request.
    """

    address: str
    answered: list[tuple[float, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _client(self) -> None:
        while not self._stop.wait(0.01):
            connection = http.client.HTTPConnection(self.address, timeout=5)
            try:
                connection.request("GET", "/nginx-health")
                answer = connection.getresponse()
                body = answer.read().decode()
                if answer.status == 200:
                    self.answered.append((time.monotonic(), body))
                else:
                    self.failed.append(str(answer.status))
            except (OSError, http.client.HTTPException) as problem:
                self.failed.append(repr(problem))
            finally:
                connection.close()

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Ask from entry to exit."""
        clients = [threading.Thread(target=self._client) for _unused in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield self
        finally:
            self._stop.set()
            for client in clients:
                client.join()

    def gap(self) -> float:
        """Return the longest time without an answer, in seconds."""
        times = sorted(when for when, _body in self.answered)
        return max(after - before for before, after in itertools.pairwise(times))


@dataclass(frozen=True)
class Pair:
    """Both proxies and the address they share."""

    address: str
    machines: dict[str, Any]

    def holders(self) -> list[str]:
        """Return the names of the machines that have the address."""
        show = f"ip -4 -o address show to {self.address}/32"
        return [name for name, machine in self.machines.items() if machine.check_output(show)]

    def holder(self) -> str:
        """Return the one machine that has the address, once it is one."""
        deadline = time.monotonic() + 15
        while len(holders := self.holders()) != 1:
            assert time.monotonic() < deadline, f"{self.address} is on {holders or 'no machine'}"
            time.sleep(0.5)
        return holders[0]

    def other(self, name: str) -> str:
        """Return the proxy that is not ``name``."""
        (other,) = self.machines.keys() - {name}
        return other

    def run(self, name: str, command: str) -> None:
        """Run ``command`` as root on one machine; it must succeed."""
        with self.machines[name].sudo():
            self.machines[name].check_output(command)


@pytest.fixture
def pair(request: pytest.FixtureRequest, host: Any) -> Iterator[Pair]:
    """Both proxies, well and in peace with each other before and after."""
    inventory = request.config.getoption("--ansible-inventory")
    hosts = testinfra.get_hosts(["ansible://nginx"], ansible_inventory=inventory)
    machines = {machine.ansible.get_variables()["inventory_hostname"]: machine for machine in hosts}
    address = host.ansible.get_variables()["peer_address"].rpartition(".")[0] + ".30"
    pair = Pair(address, machines)
    pair.holder()
    yield pair
    for name in machines:
        pair.run(name, "systemctl start nginx keepalived")
    pair.holder()


def test_one_proxy_has_the_address_and_both_are_ready_for_it(pair: Pair) -> None:
    """Both listen on it, one has it, and it answers like the others."""
    for machine in pair.machines.values():
        assert f"{pair.address}:80" in machine.check_output("ss -Hltn")
    load = Load(pair.address)
    with load.running():
        time.sleep(0.5)
    assert load.answered
    assert load.failed == []


@pytest.mark.parametrize("service", ["nginx", "keepalived"])
def test_stopped_service_gives_the_address_away(pair: Pair, service: str) -> None:
    """The other proxy answers within two seconds; no more fails than was under way. It does not come back by itself."""
    before = pair.holder()
    load = Load(pair.address)
    with load.running():
        time.sleep(1)
        pair.run(before, f"systemctl stop {service}")
        time.sleep(4)
        assert pair.holders() == [pair.other(before)]
        pair.run(before, f"systemctl start {service}")
        time.sleep(4)
    print(f"{service} stopped: {len(load.answered)} answers, {len(load.failed)} failed, gap {load.gap():.2f} s")
    assert len({body for _when, body in load.answered}) == 2
    assert len(load.failed) <= CLIENTS, load.failed
    assert load.gap() < 2
    assert pair.holders() == [pair.other(before)]
    assert pair.machines[before].service("keepalived").is_running


def test_lost_machine_loses_the_address(pair: Pair) -> None:
    """A machine whose network goes dark says no goodbye: the other one takes over within five seconds."""
    before = pair.holder()
    device = pair.machines[before].check_output(f"ip -4 -o address show to {pair.address}/32").split()[1]
    dark = f"ip link set {device} down; sleep 8; ip link set {device} up"
    load = Load(pair.address)
    with load.running():
        time.sleep(1)
        pair.run(before, f"systemd-run --collect /bin/sh -c '{dark}'")
        time.sleep(12)
    print(f"network of {before} lost: {len(load.answered)} answers, {len(load.failed)} failed, gap {load.gap():.2f} s")
    assert load.gap() < 5
    assert len(load.failed) <= 2 * CLIENTS, load.failed
    assert pair.holder() == pair.other(before)


def test_nginx_that_hangs_loses_the_address(pair: Pair) -> None:
    """Stopped in its tracks, its port still open: keepalived's question is not answered, the address goes."""
    before = pair.holder()
    try:
        pair.run(before, "pkill -STOP -x nginx")
        deadline = time.monotonic() + 10
        while pair.holders() != [pair.other(before)]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        pair.run(before, "pkill -CONT -x nginx")


def test_check_runs_as_a_user_of_its_own(pair: Pair) -> None:
    """The script that keepalived runs every second is not root's to run, nor anybody's but root's to change."""
    for machine in pair.machines.values():
        with machine.sudo():
            config = machine.file("/etc/keepalived/keepalived.conf").content_string
            assert "script_user keepalived_script" in config
            assert "enable_script_security" in config
            check = machine.file("/etc/nginx/odoo/current/keepalived.check")
            assert (check.user, check.mode) == ("root", 0o644)
            assert (
                machine.run("runuser -u keepalived_script -- /bin/bash /etc/nginx/odoo/current/keepalived.check").rc
                == 0
            )
