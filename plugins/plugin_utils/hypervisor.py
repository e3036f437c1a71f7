# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VirtualBox and libvirt say of their machines.

One listing for all of them; one more call for a machine only where its address is wanted from there.
"""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .engine import Endpoint
from .files import StateError, UnknownStateError, printable, read_bytes

LEASES = Path("/var/lib/libvirt/dnsmasq")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_RULE = re.compile(r"name = ssh, protocol = tcp, host ip = (\S*), host port = (\d+),")
# VirtualBox 6 prints "Name: …, value: …, timestamp: …", VirtualBox 7 "… = '…' @ …".
_GUEST_ADDRESS = re.compile(r"/Net/\d+/V4/IP(?:, value: |\s*=\s*')([0-9.]+)")
_INTERFACE_ADDRESS = re.compile(r"^\s*\S+\s+[0-9a-f:]{17}\s+ipv4\s+([0-9.]+)(?:/\d+)?\s*$", re.MULTILINE)


class HypervisorError(UnknownStateError):
    """The hypervisor's own command gave no answer; the text says which and why."""


@dataclass(frozen=True)
class Guest:
    """One machine the hypervisor knows: ``state`` in its words, ``ssh`` where it forwards a port to the guest's 22."""

    id: str
    name: str
    state: str
    ssh: Endpoint | None = None


def run(argv: Sequence[str], timeout: float) -> str:
    """Standard output of a command that only reads. Raises HypervisorError."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise HypervisorError(f"{argv[0]} is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HypervisorError(f"{argv[0]}: {printable(error)}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise HypervisorError(f"{argv[0]} failed: {printable(lines[-1])}")
    return done.stdout


def virtualbox_guests(timeout: float) -> dict[str, Guest]:
    """All VirtualBox machines by UUID: one call gives their states and their forwarded ssh ports."""
    return parse_virtualbox(run(["VBoxManage", "list", "--long", "vms"], timeout))


def parse_virtualbox(text: str) -> dict[str, Guest]:
    """Machines in the output of ``VBoxManage list --long vms``."""
    guests: dict[str, Guest] = {}
    name = identifier = state = ""
    ssh: Endpoint | None = None

    def finish() -> None:
        if identifier:
            guests[identifier] = Guest(identifier, name, state or "unknown", ssh)

    for line in text.splitlines():
        keyword, colon, value = line.partition(":")
        value = value.strip()
        # Shared folders have a "Name:" too, after all that is read here; without a UUID it makes no machine.
        if keyword == "Name" and colon:
            finish()
            name, identifier, state, ssh = value, "", "", None
        elif keyword == "UUID" and not identifier and _UUID.fullmatch(value):
            identifier = value.lower()
        elif keyword == "State" and not state:
            state = value.partition(" (")[0]
        elif keyword.startswith("NIC ") and (rule := _RULE.search(line)) and ssh is None:
            host = rule[1].rstrip(",")
            ssh = Endpoint(
                "127.0.0.1" if host in ("", "0.0.0.0") else host, int(rule[2]), "virtualbox port forwarding of ssh"
            )
    finish()
    return guests


def virtualbox_address(identifier: str, network: str | None, timeout: float) -> str | None:
    """Address from the guest additions' properties.

    It is in ``network`` where one is given, else not in VirtualBox's NAT, 10.0.2.0/24. Raises HypervisorError.
    """
    if not _UUID.fullmatch(identifier):
        return None
    text = run(["VBoxManage", "guestproperty", "enumerate", identifier], timeout)
    found = _GUEST_ADDRESS.findall(text)
    return _choose(found, network) or (
        None if network else next((a for a in found if not a.startswith("10.0.2.")), None)
    )


def libvirt_guests(timeout: float, uri: str) -> dict[str, Guest]:
    """All libvirt domains by UUID; ``state`` is running or shut off."""
    guests = {}
    for state, option in (("shut off", "--all"), ("running", "--state-running")):
        for identifier in run(["virsh", "--connect", uri, "list", "--uuid", option], timeout).split():
            if _UUID.fullmatch(identifier):
                guests[identifier.lower()] = Guest(identifier.lower(), "", state)
    return guests


def libvirt_states(timeout: float, uri: str) -> dict[str, str]:
    """State of all libvirt domains by name: running or shut off. Raises HypervisorError."""
    states = {}
    for state, option in (("shut off", "--all"), ("running", "--state-running")):
        for name in run(["virsh", "--connect", uri, "list", "--name", option], timeout).split():
            states[name] = state
    return states


def libvirt_address(
    identifier: str, name: str, network: str | None, timeout: float, uri: str, leases: Path = LEASES
) -> str | None:
    """Address from the domain's DHCP lease.

    ``virsh domifaddr`` knows it; where that fails, the lease files of libvirt's dnsmasq in the folder ``leases``.
    """
    try:
        if not _UUID.fullmatch(identifier):
            return None
        found = parse_domifaddr(run(["virsh", "--connect", uri, "domifaddr", identifier], timeout))
    except HypervisorError:
        found = lease_addresses(leases, name)
    return _choose(found, network) or (found[0] if found and not network else None)


def parse_domifaddr(text: str) -> list[str]:
    """IPv4 addresses in the table that ``virsh domifaddr`` prints."""
    return _INTERFACE_ADDRESS.findall(text)


def lease_addresses(folder: Path, hostname: str) -> list[str]:
    """Addresses leased to ``hostname``, newest first, by the ``BRIDGE.status`` files of libvirt's dnsmasq."""
    leases: list[tuple[int, str]] = []
    for path in sorted(folder.glob("*.status")):
        try:
            entries = json.loads(read_bytes(path, 4 << 20) or b"[]")
        except (OSError, StateError, ValueError, RecursionError):
            continue
        for entry in entries if isinstance(entries, list) else ():
            if (
                isinstance(entry, dict)
                and entry.get("hostname") == hostname
                and isinstance(entry.get("ip-address"), str)
            ):
                expiry = entry.get("expiry-time")
                leases.append((expiry if isinstance(expiry, int) else 0, entry["ip-address"]))
    return [address for _expiry, address in sorted(leases, reverse=True)]


def _choose(addresses: Sequence[str], network: str | None) -> str | None:
    if not network:
        return None
    wanted = ipaddress.ip_network(network)
    for address in addresses:
        try:
            if ipaddress.ip_address(address) in wanted:
                return address
        except ValueError:
            continue
    return None
