# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Vagrantfile asks of each provider, read by ruby with Vagrant's part replaced by one that writes down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUBY = shutil.which("ruby") or "/opt/vagrant/embedded/bin/ruby"  # the second comes with HashiCorp's package
NODES = """
deployment: shop
network: 192.168.96.0/20
suite: bookworm
machines:
  pg1: {address: 192.168.99.21, groups: [postgres_primary], memory: 1024, cpus: 2}
"""
WRITES_DOWN = """
require 'json'
require 'socket'
$asked = Hash.new { |hash, provider| hash[provider] = {} }

class Settings
  def initialize(provider) = @provider = provider
  def vm = self
  def define(_name) = yield(self)
  def provider(name) = yield(Settings.new(name), Settings.new(name))
  def network(type, **options) = $asked[@provider]['network'] = [type, options]
  def respond_to_missing?(*) = true
  def method_missing(name, *values, **) = ($asked[@provider][name] = values.first if name.end_with?('='))
end

module Vagrant
  def self.configure(_version) = yield(Settings.new(:all))
end

Interface = Struct.new(:name, :addr)
Socket.define_singleton_method(:getifaddrs) do
  [Interface.new('lo', nil), Interface.new(ENV['BRIDGE'], Addrinfo.ip(ENV.fetch('BRIDGE_ADDRESS')))]
end
load ARGV[0]
puts JSON.generate($asked)
"""


def asked(tmp_path: Path, bridge: str, address: str) -> dict[str, dict[str, Any]]:
    (tmp_path / "nodes.yml").write_text(NODES)
    (tmp_path / "writes_down.rb").write_text(WRITES_DOWN)
    env = {**os.environ, "ODOO_DEPLOY_NODES": str(tmp_path / "nodes.yml"), "BRIDGE": bridge, "BRIDGE_ADDRESS": address}
    done = subprocess.run(
        [RUBY, str(tmp_path / "writes_down.rb"), str(ROOT / "Vagrantfile")],
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("bridge", "address", "joins"),
    [
        ("br-0123456789ab", "192.168.96.1", True),
        ("br-0123456789ab", "192.168.99.1", False),  # another network's
        ("virbr2", "192.168.96.1", False),  # libvirt's own, of machines without a node
    ],
)
def test_networks(tmp_path: Path, bridge: str, address: str, joins: bool) -> None:
    """docker takes a prefix length, hypervisors a dotted mask; libvirt's machines join the node's bridge."""
    found = asked(tmp_path, bridge, address)
    machine = {"ip": "192.168.99.21", "netmask": "255.255.240.0"}
    assert found["docker"]["network"] == ["private_network", {"ip": "192.168.99.21", "netmask": 20}]
    assert found["virtualbox"]["network"] == ["private_network", machine]
    on_the_bridge = ["public_network", {"dev": bridge, "mode": "bridge", "type": "bridge", **machine}]
    assert found["libvirt"]["network"] == (on_the_bridge if joins else ["private_network", machine])
    assert "network" not in found["all"]
