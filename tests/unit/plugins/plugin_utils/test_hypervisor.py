# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualBox and libvirt, by what their own programs print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import hypervisor
from hypothesis import given
from hypothesis import strategies as st

ONE = "5a1f6c5e-6c1e-4b43-9d4f-3f8b0c1d2e3f"
TWO = "0b7e2a44-90ab-4c1d-8e2f-1a2b3c4d5e6f"
Program = Callable[[str, str], Path]

LISTED = f"""Name:                        odoo-pg1
Groups:                      /
Guest OS:                    Debian (64-bit)
UUID:                        {ONE}
Config file:                 /home/user/VirtualBox VMs/odoo-pg1/odoo-pg1.vbox
Hardware UUID:               {TWO}
State:                       running (since 2025-11-02T09:15:44.101000000)
SATA Controller (0, 0): /home/user/VirtualBox VMs/odoo-pg1/box-disk001.vmdk (UUID: {TWO})
NIC 1:                       MAC: 0800277360CF, Attachment: NAT, Cable connected: on, Trace: off (file: none)
NIC 1 Settings:  MTU: 0, Socket (send: 64, receive: 64), TCP Window (send:64, receive: 64)
NIC 1 Rule(0):   name = ssh, protocol = tcp, host ip = 127.0.0.1, host port = 2200, guest ip = , guest port = 22
NIC 1 Rule(1):   name = web, protocol = tcp, host ip = , host port = 8080, guest ip = , guest port = 80
NIC 2:                       MAC: 080027EA7320, Attachment: Host-only Interface 'vboxnet0', Cable connected: on

Shared folders:

Name: 'vagrant', Host path: '/home/user/project' (machine mapping), writable

Name:                        odoo-pg2
Guest OS:                    Debian (64-bit)
UUID:                        {TWO}
State:                       powered off (since 2025-11-02T09:20:00.000000000)
NIC 1 Rule(0):   name = ssh, protocol = tcp, host ip = , host port = 2201, guest ip = , guest port = 22
"""


def test_one_listing_gives_state_and_ssh_of_all_virtualbox_machines(program: Program) -> None:
    log = program("VBoxManage", f"cat <<'E'\n{LISTED}E")
    guests = hypervisor.virtualbox_guests(5)
    assert log.read_text() == "list --long vms\n"
    assert set(guests) == {ONE, TWO}
    assert (guests[ONE].name, guests[ONE].state) == ("odoo-pg1", "running")
    assert guests[ONE].ssh == hypervisor.Endpoint("127.0.0.1", 2200, "virtualbox port forwarding of ssh")
    assert (guests[TWO].state, guests[TWO].ssh and guests[TWO].ssh.host) == ("powered off", "127.0.0.1")


@pytest.mark.parametrize(
    "line",
    [
        "Name: /VirtualBox/GuestInfo/Net/{}/V4/IP, value: {}, timestamp: 1730538944101000000, flags: ",
        "/VirtualBox/GuestInfo/Net/{}/V4/IP = '{}' @ 2025-11-02T09:15:44.101Z",
    ],
)
def test_guest_properties_of_both_formats(program: Program, line: str) -> None:
    text = "\n".join(line.format(index, ip) for index, ip in enumerate(("10.0.2.15", "192.168.56.5", "192.168.99.21")))
    log = program("VBoxManage", f"cat <<'E'\n{text}\nE")
    assert hypervisor.virtualbox_address(ONE, "192.168.99.0/24", 5) == "192.168.99.21"
    assert hypervisor.virtualbox_address(ONE, None, 5) == "192.168.56.5"
    assert hypervisor.virtualbox_address(ONE, "10.9.0.0/16", 5) is None
    assert log.read_text().splitlines()[0] == f"guestproperty enumerate {ONE}"


def test_an_id_that_is_no_uuid_is_never_an_argument(program: Program) -> None:
    logs = [program(name, "echo") for name in ("VBoxManage", "virsh")]
    assert hypervisor.virtualbox_address("--help", None, 5) is None
    assert hypervisor.libvirt_address("--help", "pg1", None, 5, "qemu:///system") is None
    assert not any(log.exists() for log in logs)


def test_libvirt_domains_are_running_or_shut_off(program: Program) -> None:
    log = program("virsh", f'case "$*" in *--all*) echo {ONE}; echo {TWO};; *) echo {TWO};; esac; echo')
    guests = hypervisor.libvirt_guests(5, "qemu:///session")
    assert {identifier: guest.state for identifier, guest in guests.items()} == {ONE: "shut off", TWO: "running"}
    assert log.read_text().splitlines() == [
        "--connect qemu:///session list --uuid --all",
        "--connect qemu:///session list --uuid --state-running",
    ]


DOMIFADDR = """ Name       MAC address          Protocol     Address
-------------------------------------------------------------------------------
 vnet0      52:54:00:0d:11:c2    ipv4         192.168.121.45/24
 vnet0      52:54:00:0d:11:c2    ipv6         fe80::5054:ff:fe0d:11c2/64
 vnet1      52:54:00:6b:30:a9    ipv4         192.168.99.21/24
"""


def test_the_lease_is_in_the_deployments_network_if_one_is(program: Program) -> None:
    program("virsh", f"cat <<'E'\n{DOMIFADDR}E")
    assert hypervisor.libvirt_address(ONE, "pg1", "192.168.99.0/24", 5, "qemu:///system") == "192.168.99.21"
    assert hypervisor.libvirt_address(ONE, "pg1", None, 5, "qemu:///system") == "192.168.121.45"
    assert hypervisor.libvirt_address(ONE, "pg1", "10.0.0.0/8", 5, "qemu:///system") is None


def test_without_virsh_the_lease_files_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    leases = [
        {"ip-address": "192.168.121.9", "hostname": "pg1", "expiry-time": 100},
        {"ip-address": "192.168.121.10", "hostname": "pg1", "expiry-time": 200},
        {"ip-address": "192.168.121.11", "hostname": "pg2", "expiry-time": 300},
        {"hostname": "pg1"},
        7,
    ]
    (tmp_path / "virbr1.status").write_text(json.dumps(leases))
    (tmp_path / "virbr0.status").write_text("")
    (tmp_path / "virbr2.status").write_text('[{"ip-addr')
    address = hypervisor.libvirt_address(ONE, "pg1", None, 5, "qemu:///system", tmp_path)
    assert address == "192.168.121.10", "the newest lease of that host"


def test_a_program_that_is_missing_fails_or_hangs_is_told(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("VBoxManage", "echo first >&2; echo 'kernel driver not loaded' >&2; exit 1")
    with pytest.raises(hypervisor.HypervisorError, match="VBoxManage failed: kernel driver not loaded"):
        hypervisor.virtualbox_guests(5)
    program("virsh", "exec sleep 60")
    with pytest.raises(hypervisor.HypervisorError, match="timed out"):
        hypervisor.libvirt_guests(0.2, "qemu:///system")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(hypervisor.HypervisorError, match="virsh is not installed"):
        hypervisor.libvirt_guests(5, "qemu:///system")


@given(st.text(), st.text())
def test_any_output_is_parsed(listed: str, table: str) -> None:
    for guest in hypervisor.parse_virtualbox(LISTED + listed).values():
        assert guest.state
    hypervisor.parse_domifaddr(DOMIFADDR + table)
