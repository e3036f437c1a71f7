# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: vagrant_minikube
short_description: Vagrant's machines and a Kubernetes cluster's nodes as one inventory
version_added: 1.0.0
author:
  - Odoo Deploy contributors (@odoo-deploy)
description:
  - Reads the machines that Vagrant has created with its docker, virtualbox or libvirt provider from Vagrant's own
    files, without running C(vagrant), and a Kubernetes cluster's nodes from a kubeconfig or from minikube's profiles.
  - Gives each host its connection variables and the address at which its peers reach it, which is not the one that ssh
    uses under docker or NAT.
  - Reads groups and declared addresses from a nodes file, see O(nodes_file).
  - Sets what the nodes file declares as variables of group C(all), whether or not the machines exist yet.
    C(deployment_name), C(deployment_network) and C(deployment_suite) are the file's strings.
    C(deployment_machines_declared) maps each machine's name to its C(address), C(groups), C(memory) (MiB) and C(cpus).
    C(deployment_groups_declared) maps each group to its machines' names. Both keep the file's order.
    C(deployment_cluster_declared) has the C(name) and C(address) of the cluster, and is empty if none is declared.
    Without a nodes file none of them is set.
  - Changes nothing, and starts no program for docker machines. For VirtualBox and libvirt it asks C(VBoxManage) or
    C(virsh) once for all machines, and again for minikube's machines of these hypervisors that the cluster itself does
    not call its nodes. A machine of minikube that is stopped is unavailable, see O(unavailable).
notes:
  - The source file's name must end with C(vagrant_minikube.yml) or C(vagrant_minikube.yaml).
  - Relative paths in the source file are relative to the source file; relative paths in environment variables are
    relative to the working directory, except E(VAGRANT_DOTFILE_PATH), which Vagrant takes relative to the Vagrantfile.
  - Options that are strings or lists of strings may be templates. What is read from a machine's, the engine's or a
    cluster's state is never evaluated as a template.
  - Whether a machine runs and where its ssh port is published is in none of Vagrant's files, so it is asked each time;
    with O(cache=true) only answers of clusters and of C(vagrant ssh-config) are kept, and dropped as soon as the
    kubeconfig, Vagrant's files or the containers on the deployment's network change.
requirements:
  - The Python package C(docker), only for engines behind TLS or C(ssh://).
  - The Python package C(kubernetes), only for contexts with a credential plugin, a password or a proxy.
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Marks the file as a source of this plugin.
    type: str
    required: true
    choices: [odoo_deploy.stack.vagrant_minikube]
  nodes_file:
    description:
      - The list of machines with their addresses and groups.
      - Where it is not set and the default does not exist, all of Vagrant's machines are taken, without groups of
        their own.
    type: str
    default: nodes.yml
    env:
      - name: ODOO_DEPLOY_NODES
  deployment:
    description:
      - Whether the variables that join the roles of this collection are set too, as
        P(odoo_deploy.stack.deployment#inventory) does for a static inventory.
    type: bool
    default: false
    version_added: 2.0.0
  vagrant_projects:
    description:
      - Folders of the Vagrantfiles whose machines to list.
      - By default the nearest folder with a C(Vagrantfile) or C(.vagrant) at or above the source file's, as Vagrant
        itself looks for it.
    type: list
    elements: str
    default: []
    env:
      - name: VAGRANT_CWD
  vagrant_dotfile_path:
    description: Vagrant's state folder, relative to the Vagrantfile's folder.
    type: str
    default: .vagrant
    env:
      - name: VAGRANT_DOTFILE_PATH
  vagrant_home:
    description: Vagrant's folder of the user, with the machine index and the insecure key.
    type: str
    default: ~/.vagrant.d
    env:
      - name: VAGRANT_HOME
  limit_providers:
    description: Providers whose machines to list; empty for all.
    type: list
    elements: str
    default: []
    choices: [docker, virtualbox, libvirt]
  address_order:
    description:
      - Where to take the address for peers from; the first that has one wins. Leave out what should not be asked.
      - V(docker) is the engine, V(declared) the nodes file, V(guestproperty) VirtualBox's guest additions and V(lease)
        libvirt's DHCP lease. The last two cost a program's run for each machine.
    type: list
    elements: str
    default: [docker, declared, guestproperty, lease]
    choices: [docker, declared, guestproperty, lease]
  unavailable:
    description:
      - What to do with a machine or node that is stopped, half-created, unreachable, or not in the nodes file.
      - V(omit) leaves it out, V(keep) lists it with what is known, V(fail) makes it an error. Each names all such
        hosts and their reasons in one message, V(keep) with C(-vv) only.
      - A machine whose name cannot be a host's name is never kept.
      - The default is V(fail) with O(strict=true), else V(omit).
    type: str
    choices: [omit, keep, fail]
  static_groups:
    description: Groups that are defined even without a host, so that a play may name them, each with its child groups.
    type: dict
    default:
      machines: []
      kubernetes: []
      postgres: [postgres_primary, postgres_replica]
      nginx: []
  ssh_user:
    description: User to connect to machines as; Vagrant's files do not hold it.
    type: str
    default: vagrant
  ssh_common_args:
    description:
      - Value of C(ansible_ssh_common_args). The default is what C(vagrant ssh-config) prints, for machines that are
        made anew on the same loopback port have a new host key each time.
    type: str
    default: >-
      -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o PasswordAuthentication=no -o IdentitiesOnly=yes
      -o LogLevel=ERROR
  ssh_config:
    description:
      - Ask C(vagrant ssh-config) for the connection of machines that run. This costs more than a second unless
        O(cache=true), and is only needed for a Vagrantfile with ssh settings of its own.
    type: bool
    default: false
  docker_host:
    description: URL of the docker engine. By default the one that the C(docker) command uses, contexts included.
    type: str
    default: ''
    env:
      - name: DOCKER_HOST
  libvirt_uri:
    description: URI of libvirt's daemon.
    type: str
    default: qemu:///system
    env:
      - name: LIBVIRT_DEFAULT_URI
  timeout:
    description: Seconds to wait for the docker engine, C(VBoxManage) or C(virsh), each.
    type: float
    default: 5
  deployment_dir:
    description: Folder of what a deployment makes; only its C(kubeconfig) is read, where O(kubeconfig) is not set.
    type: str
    default: ../.deploy
    env:
      - name: ODOO_DEPLOY_DIR
  kubeconfig:
    description:
      - Kubeconfig of the cluster whose nodes to list. A file that does not exist is a cluster that is not there yet.
      - By default C(kubeconfig) in O(deployment_dir); empty for none.
    type: str
  kubernetes_context:
    description: Context in O(kubeconfig); by default its current one.
    type: str
    default: ''
  kubernetes_timeout:
    description: Seconds to wait for the cluster's API server.
    type: float
    default: 2
  node_ports:
    description: Names and NodePorts of services; each node gets their URLs in C(vagrant_minikube_node_port_urls).
    type: dict
    default: {}
  minikube_home:
    description: minikube's home; C(/.minikube) is appended unless it ends so.
    type: str
    default: ''
    env:
      - name: MINIKUBE_HOME
  minikube_profiles:
    description:
      - minikube profiles whose nodes to list; V(*) stands for all, an empty list for none.
      - By default the profile with the name and the address of the nodes file's cluster; all profiles without a nodes
        file.
    type: list
    elements: str
"""

EXAMPLES = r"""
# All that Vagrant and minikube know, groups and addresses from nodes.yml beside this file
plugin: odoo_deploy.stack.vagrant_minikube

---
# The address for peers under the name that roles use; the cluster's nodes from a kubeconfig, with the URL of a service
plugin: odoo_deploy.stack.vagrant_minikube
kubeconfig: ~/.kube/config
kubernetes_context: staging
node_ports:
  odoo: 32242
compose:
  peer_address: vagrant_minikube_address

---
# Two Vagrant projects, docker machines only, no machine may be down
plugin: odoo_deploy.stack.vagrant_minikube
vagrant_projects: [../web, ../database]
limit_providers: [docker]
unavailable: fail

---
# Addresses as VirtualBox's guest additions report them, declared ones only where they do not; stopped machines stay
plugin: odoo_deploy.stack.vagrant_minikube
address_order: [guestproperty, declared]
unavailable: keep
keyed_groups:
  - key: vagrant_minikube_provider
    prefix: provider
  - key: vagrant_minikube_state
    prefix: state

---
# Nodes of two minikube profiles; control planes in a group of their own
plugin: odoo_deploy.stack.vagrant_minikube
minikube_profiles: [minikube, staging]
groups:
  control_plane: vagrant_minikube_control_plane | default(false)

---
# Another nodes file, named by a variable given with -e; clusters' answers are kept between runs
plugin: odoo_deploy.stack.vagrant_minikube
nodes_file: "{{ stage | default('demo') }}.nodes.yml"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /tmp/vagrant_minikube_cache
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import hosts, minikube, nodes, vagrant, wiring
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.files import printable

try:
    # From ansible-core 2.19 on a string is a template only where it is marked as one.
    from ansible.template import trust_as_template
except ImportError:  # before, unless it is marked as none
    from ansible.utils.unsafe_proxy import AnsibleUnsafeText

    as_plain, as_suspect = str, AnsibleUnsafeText
else:
    as_plain, as_suspect = trust_as_template, str


# What makes Ansible read a template in a text: a delimiter, or a header that changes the delimiters.
_SIGNS = ("{", "#jinja2:")


def _unsafe(value: Any) -> Any:
    """The value as one that Ansible never evaluates as a template; the listing shows it bare where it can."""
    if isinstance(value, str):
        return as_suspect(value) if any(sign in value for sign in _SIGNS) else as_plain(value)
    if isinstance(value, dict):
        return {key: _unsafe(item) for key, item in value.items()}
    return [_unsafe(item) for item in value] if isinstance(value, list) else value


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "odoo_deploy.stack.vagrant_minikube"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("vagrant_minikube.yml", "vagrant_minikube.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._config = self._read_config_data(path)
        self._folder = Path(path).absolute().parent
        keep_cache, cached = self._cached(path, cache)
        found = hosts.collect(self._settings(cached))
        self._populate(self._usable(found))
        if self.get_option("deployment"):
            try:
                wiring.apply(inventory, wiring.loading(loader))
            except wiring.WiringError as error:
                raise AnsibleParserError(str(error)) from None
        keep_cache()

    # Options

    def _settings(self, cached: hosts.Cached) -> hosts.Settings:
        self._deployment = self._nodes_file()
        state = self._text("vagrant_dotfile_path")
        projects = [self._path_of(folder, "vagrant_projects") for folder in self._texts("vagrant_projects")] or [
            self._folder
        ]
        profiles = self._texts("minikube_profiles") if self.get_option("minikube_profiles") is not None else None
        return hosts.Settings(
            projects=tuple(
                (project, vagrant.state_folder(project, state)) for project in map(vagrant.project_folder, projects)
            ),
            vagrant_home=self._path("vagrant_home"),
            deployment=self._deployment,
            providers=tuple(self.get_option("limit_providers")),
            address_order=tuple(self.get_option("address_order")),
            docker_host=self._text("docker_host"),
            timeout=self.get_option("timeout"),
            libvirt_uri=self._text("libvirt_uri"),
            ssh_user=self._text("ssh_user"),
            ssh_common_args=self._text("ssh_common_args"),
            ssh_config=self.get_option("ssh_config"),
            kubeconfig=self._kubeconfig(),
            kubernetes_context=self._text("kubernetes_context"),
            kubernetes_timeout=self.get_option("kubernetes_timeout"),
            minikube_home=self._path_of(str(minikube.home_folder({}, self._text("minikube_home"))), "minikube_home"),
            minikube_profiles=None if profiles is None else tuple(profiles),
            node_ports=self._node_ports(),
            environ=os.environ,
            cached=cached,
        )

    def _nodes_file(self) -> nodes.Deployment | None:
        path = self._path("nodes_file")
        try:
            return nodes.load(path)
        except FileNotFoundError:
            if "nodes_file" not in self._config and not os.environ.get("ODOO_DEPLOY_NODES"):
                return None
            raise AnsibleParserError(
                f"nodes_file: there is no {printable(path, 400)}. Create it, or name another."
            ) from None
        except nodes.NodesError as error:
            raise AnsibleParserError(printable(error, 600)) from None

    def _kubeconfig(self) -> Path | None:
        if self.get_option("kubeconfig") is None:
            return self._path("deployment_dir") / "kubeconfig"
        return self._path("kubeconfig") if self._text("kubeconfig") else None

    def _node_ports(self) -> dict[str, int]:
        ports = self.get_option("node_ports")
        for name, port in ports.items():
            if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
                raise AnsibleParserError(
                    f"node_ports.{printable(name)}: {printable(port)} is not a port. Give a number up to 65535."
                )
        return {str(name): int(port) for name, port in ports.items()}

    def _text(self, option: str) -> str:
        return self._templated(option, self.get_option(option))

    def _texts(self, option: str) -> list[str]:
        return [self._templated(option, value) for value in self.get_option(option)]

    def _templated(self, option: str, value: str) -> str:
        """The option's value; a template only where the source file gave it, never from the environment."""
        if option not in self._config or "{" not in value:
            return str(value)
        try:
            self.templar.available_variables = self._vars
            return str(self.templar.template(value))
        except AnsibleError as error:
            raise AnsibleParserError(f"{option}: {error}") from error

    def _path(self, option: str) -> Path:
        return self._path_of(self._text(option), option)

    def _path_of(self, value: str, option: str) -> Path:
        """Absolute path, relative to the source file where that or the default gave it, else to the working folder."""
        given_here = option in self._config or value in ("nodes.yml", "../.deploy")
        return Path(os.path.normpath((self._folder if given_here else Path.cwd()) / Path(value).expanduser()))

    # Cache

    def _cached(self, path: str, cache: bool) -> tuple[Callable[[], None], hosts.Cached]:
        """(what to call at the end, the ``Cached`` to hand out).

        Entries that nobody asked for this time are dropped.
        """
        if not self.get_option("cache"):
            return (lambda: None), hosts.uncached
        key = self.get_cache_key(path)
        old: Any = {}
        if cache:
            with suppress(KeyError):
                old = self._cache[key]
        if not isinstance(old, Mapping):
            old = {}
        new: dict[str, Any] = {}

        def cached(name: str, mark: Any, produce: Callable[[], Any]) -> Any:
            entry = old.get(name)
            if not (isinstance(entry, Mapping) and entry.get("mark") == mark):
                entry = {"mark": mark, "value": produce()}
            new[name] = entry
            return entry["value"]

        def keep() -> None:
            if new != old:
                self._cache[key] = new

        return keep, cached

    # Hosts

    def _usable(self, found: hosts.Found) -> list[hosts.Host]:
        """Hosts to list. Says in one message what is left out, and why; raises it with ``unavailable: fail``."""
        policy = self.get_option("unavailable") or ("fail" if self.get_option("strict") else "omit")
        reasons: dict[str, list[str]] = {}
        kept = []
        for host in found.hosts:
            if host.problem:
                reasons.setdefault(host.problem, []).append(printable(host.name))
            if not host.problem or (policy == "keep" and host.nameable):
                kept.append(host)
        affected = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
        parts = [f"left out: {affected}"] if affected and policy != "keep" else []
        parts += found.notices
        if parts and policy == "fail":
            raise AnsibleParserError(". ".join(parts))
        if affected and policy == "keep":
            self.display.vv(f"{self.NAME}: kept though unusable: {affected}")
        if parts:
            self.display.warning(f"{self.NAME}: {'. '.join(parts)}")
        return kept

    def _populate(self, found: list[hosts.Host]) -> None:
        inventory = self.inventory
        for group, children in self.get_option("static_groups").items():
            inventory.add_group(group)
            for child in children or ():
                inventory.add_group(child)
                inventory.add_child(group, child)
        if self._deployment:
            for group in self._deployment.groups():
                inventory.add_group(group)
            for name, value in self._deployment.variables().items():
                inventory.set_variable("all", name, _unsafe(value))
        options = {name: self.get_option(name) for name in ("strict", "compose", "groups", "keyed_groups")}
        for host in found:
            kind = "machines" if host.variables["vagrant_minikube_kind"] == "machine" else "kubernetes"
            for group in dict.fromkeys((kind, *host.groups)):
                inventory.add_group(group)
                inventory.add_host(host.name, group=group)
            variables = _unsafe(dict(host.variables))
            for name, value in variables.items():
                inventory.set_variable(host.name, name, value)
            strict = options["strict"]
            self._set_composite_vars(options["compose"], variables, host.name, strict=strict)
            self._add_host_to_composed_groups(options["groups"], variables, host.name, strict=strict)
            self._add_host_to_keyed_groups(options["keyed_groups"], variables, host.name, strict=strict)
