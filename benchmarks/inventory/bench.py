# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the inventory plugin against a static file, `vagrant ssh-config`, and an inventory script that parses it.

    python benchmarks/inventory/bench.py inventory/demo.vagrant_minikube.yml --runs 15

Needs a running deployment with ODOO_DEPLOY_NODES, VAGRANT_DOTFILE_PATH and so on as for ansible-inventory. Prints two
Markdown tables: whole commands (runs interleaved, so that a busy machine is busy for all), and the plugin's own work in
one process, also for generated deployments of 250, 500 and 1,000 machines (engine's answers generated as well).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

PLUGIN = "odoo_deploy.stack.vagrant_minikube"
BIN = Path(sys.executable).parent
SCRIPT = """#!/bin/sh
# What an inventory that asks Vagrant does: run it, make JSON of what it prints.
vagrant ssh-config | awk '
  $1 == "Host" {{ h = $2; hosts = hosts sep "\\"" h "\\""; sep = "," }}
  $1 == "HostName" {{ v[h] = "\\"ansible_host\\":\\"" $2 "\\"" }}
  $1 == "Port" {{ v[h] = v[h] ",\\"ansible_port\\":" $2 }}
  $1 == "User" {{ v[h] = v[h] ",\\"ansible_user\\":\\"" $2 "\\"" }}
  $1 == "IdentityFile" {{ v[h] = v[h] ",\\"ansible_ssh_private_key_file\\":\\"" $2 "\\"" }}
  END {{ printf "{{\\"machines\\":{{\\"hosts\\":[%s]}},\\"_meta\\":{{\\"hostvars\\":{{", hosts; sep = ""
        for (h in v) {{ printf "%s\\"%s\\":{{%s}}", sep, h, v[h]; sep = "," }}
        print "}}}}}}" }}'
"""


def run(argv: list[str], enabled: str = "", **environ: str) -> tuple[float, float]:
    """(wall, processor) seconds of a command; an error ends the benchmark."""
    environment = {**os.environ, **({"ANSIBLE_INVENTORY_ENABLED": enabled} if enabled else {}), **environ}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(source: Path, project: Path, runs: int) -> None:
    """Whole commands, as a person or a playbook pays for them."""
    inventory = str(BIN / "ansible-inventory")
    with tempfile.TemporaryDirectory() as folder:
        static = Path(folder) / "hosts.yml"
        listed = subprocess.run(
            [inventory, "-i", str(source), "--list", "--yaml"], check=True, capture_output=True, text=True
        )
        static.write_text(listed.stdout)
        script = Path(folder) / "vagrant.sh"
        script.write_text(SCRIPT.format())
        script.chmod(0o755)
        vagrant = {"VAGRANT_CWD": str(project)}
        cases: dict[str, Callable[[], tuple[float, float]]] = {
            "`ansible-inventory`, static file of the same hosts": lambda: run(
                [inventory, "-i", str(static), "--list"], "ansible.builtin.yaml"
            ),
            "`ansible-inventory`, this plugin": lambda: run([inventory, "-i", str(source), "--list"], PLUGIN),
            "`vagrant ssh-config` alone": lambda: run(["vagrant", "ssh-config"], **vagrant),
            "`ansible-inventory`, script that parses `vagrant ssh-config`": lambda: run(
                [inventory, "-i", str(script), "--list"], "ansible.builtin.script", **vagrant
            ),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for case in cases.values():
            case()
        for _run in range(runs):
            for name, case in cases.items():
                times[name].append(case())
    base = times[next(iter(cases))]
    print(f"\n| command, {runs} runs | wall, median | wall, least | processor, median | ratio of medians |")
    print("|---|--:|--:|--:|--:|")
    for name, measured in times.items():
        wall, processor = ([pair[index] for pair in measured] for index in (0, 1))
        ratio = statistics.median(wall) / statistics.median(pair[0] for pair in base)
        print(
            f"| {name} | {statistics.median(wall) * 1000:.0f} ms | {min(wall) * 1000:.0f} ms "
            f"| {statistics.median(processor) * 1000:.0f} ms | {ratio:.2f} |"
        )


def parse(source: Path) -> tuple[float, float, int]:
    """(wall and processor seconds, hosts) of the plugin's own work: reading its source to setting the last variable."""
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import inventory_loader

    plugin, data, loader = inventory_loader.get(PLUGIN), InventoryData(), DataLoader()
    began, before = time.perf_counter(), time.process_time()
    plugin.parse(data, loader, str(source))
    return time.perf_counter() - began, time.process_time() - before, len(data.hosts)


def own(source: Path, runs: int) -> None:
    """The plugin's own work, warm."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    print(f"\n| plugin's own work, {runs} runs | hosts | wall, median | wall, least | processor, median | each host |")
    print("|---|--:|--:|--:|--:|--:|")

    def row(name: str, measured: Path) -> None:
        parse(measured)
        times = [parse(measured) for _run in range(runs)]
        wall, processor = ([entry[index] for entry in times] for index in (0, 1))
        used, hosts = statistics.median(processor), times[0][2]
        print(
            f"| {name} | {hosts} | {statistics.median(wall) * 1000:.1f} ms | {min(wall) * 1000:.1f} ms "
            f"| {used * 1000:.1f} ms | {used / max(hosts, 1) * 1e6:.0f} µs |"
        )

    row("this deployment", source)
    for count in (250, 500, 1000):
        with tempfile.TemporaryDirectory() as folder, generated(Path(folder), count) as made:
            row("generated", made)


@contextmanager
def generated(folder: Path, count: int) -> Iterator[Path]:
    """A deployment of ``count`` docker machines: nodes file, Vagrant's files, and an engine that lists them."""
    machines, containers, index = {}, [], {}
    for number in range(count):
        name, identifier = f"vm{number}", f"{number:064x}"
        address = f"10.1.{number // 250}.{number % 250 + 2}"
        machines[name] = {"address": address, "groups": [f"group{number % 7}"], "memory": 512, "cpus": 1}
        state = folder / ".vagrant" / "machines" / name / "docker"
        state.mkdir(parents=True)
        for file, content in (("id", identifier), ("index_uuid", f"u{number}"), ("private_key", "key")):
            (state / file).write_text(content)
        index[f"u{number}"] = {"name": name, "provider": "docker", "vagrantfile_path": str(folder), "extra_data": {}}
        networks = {"bridge": {"IPAddress": "172.17.0.2"}, "vagrant_network": {"IPAddress": address}}
        ports = [{"IP": "127.0.0.1", "PrivatePort": 22, "PublicPort": 2200 + number, "Type": "tcp"}]
        containers.append(
            {"Id": identifier, "Names": [f"/{name}"], "State": "running", "Ports": ports}
            | {"NetworkSettings": {"Networks": networks}}
        )
    document = {"deployment": "bench", "network": "10.1.0.0/16", "suite": "bookworm", "machines": machines}
    (folder / "nodes.yml").write_text(json.dumps(document))
    home = folder / "vagrant.d" / "data" / "machine-index"
    home.mkdir(parents=True)
    (home / "index").write_text(json.dumps({"version": 1, "machines": index}))
    body = json.dumps(containers).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    class Server(ThreadingUnixStreamServer):
        daemon_threads = True

    server = Server(str(folder / "docker.sock"), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options: dict[str, Any] = {
        "plugin": PLUGIN,
        "nodes_file": "nodes.yml",
        "vagrant_projects": ["."],
        "vagrant_dotfile_path": ".vagrant",
        "vagrant_home": "vagrant.d",
        "docker_host": f"unix://{folder}/docker.sock",
        "kubeconfig": "",
        "compose": {"peer_address": "vagrant_minikube_address"},
    }
    source = folder / "vagrant_minikube.yml"
    source.write_text(json.dumps(options))
    yield source
    server.shutdown()
    server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="inventory source of a running deployment")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[2], help="folder of the Vagrantfile")
    given = parser.parse_args()
    commands(given.source, given.project, given.runs)
    own(given.source, given.runs)


if __name__ == "__main__":
    main()
