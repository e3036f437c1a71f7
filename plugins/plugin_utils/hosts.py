# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Join what the readers found into hosts with their variables, each with where its addresses came from.

What is asked each time and what may be cached: a machine's state and its published port are in no file (``docker
stop`` tells Vagrant nothing), so the engine or hypervisor is asked each time, in one call for all machines. The nodes
of a cluster behind a kubeconfig and the output of ``vagrant ssh-config`` cost a TLS connection and a second; they may
come from a cache whose entry carries a fingerprint of everything they depend on that can be seen from here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import engine, minikube, vagrant
from .files import StateError, UnknownStateError, fingerprint, printable
from .nodes import Deployment

# Ansible compiles a collection's modules anew in each run, so what only some deployments need is imported where it is
# used.
if TYPE_CHECKING:
    from . import hypervisor, kubeconfig

ADDRESS_SOURCES = ("docker", "declared", "guestproperty", "lease")

#: cached(name, mark, produce): the JSON value kept under ``name`` while ``mark`` is the same, else ``produce()``.
Cached = Callable[[str, Any, Callable[[], Any]], Any]


def uncached(_name: str, _mark: Any, produce: Callable[[], Any]) -> Any:
    """A ``Cached`` that keeps nothing."""
    return produce()


@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """What to read and how. Timeouts are in seconds; ``projects`` are (Vagrantfile's folder, state folder) pairs."""

    projects: tuple[tuple[Path, Path], ...]
    vagrant_home: Path
    deployment: Deployment | None = None
    providers: tuple[str, ...] = ()
    address_order: tuple[str, ...] = ADDRESS_SOURCES
    docker_host: str = ""
    timeout: float = 5.0
    libvirt_uri: str = "qemu:///system"
    ssh_user: str = "vagrant"
    ssh_common_args: str = ""
    ssh_config: bool = False
    kubeconfig: Path | None = None
    kubernetes_context: str = ""
    kubernetes_timeout: float = 2.0
    minikube_home: Path = Path("~/.minikube")
    minikube_profiles: tuple[str, ...] | None = None
    node_ports: Mapping[str, int] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    cached: Cached = uncached


@dataclass(frozen=True)
class Host:
    """An inventory host; ``problem`` says why it should be left out (empty: nothing against it)."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Any]
    problem: str = ""
    nameable: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Found:
    """All hosts, usable or not, in order, and what could not be read but concerns no single host."""

    hosts: tuple[Host, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class _Look:
    """What a provider says of one machine."""

    state: str
    problem: str = ""
    ssh: engine.Endpoint | None = None
    container: engine.Container | None = None


def collect(settings: Settings) -> Found:
    """Hosts of all the machines and clusters that ``settings`` name. Only problems of the settings themselves raise."""
    return _Collector(settings).collect()


class _Collector:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.notices: list[str] = []
        deployment = settings.deployment
        self.declared = deployment.addresses() if deployment else {}
        self.declared_in = str(deployment.path) if deployment else ""
        self.groups = {machine.name: machine.groups for machine in deployment.machines} if deployment else {}
        self.network = ipaddress.IPv4Network(deployment.network) if deployment else None
        self._containers: dict[str, engine.Container] | engine.EngineError | None = None
        self._engine_url = ""
        self._guests: dict[str, dict[str, hypervisor.Guest] | str] = {}

    def collect(self) -> Found:
        machines: list[vagrant.Machine] = []
        for project, state in dict.fromkeys(self.settings.projects):
            found, problems = vagrant.machines(project, state, self.settings.vagrant_home, self.settings.providers)
            machines += found
            self.notices += problems
        looks = [self.look(machine) for machine in machines]
        chosen = self.chosen(machines, looks)
        endpoints = (
            self.ssh_config([pair for pair in chosen if not pair[1].problem]) if self.settings.ssh_config else {}
        )
        hosts = [self.machine(machine, look, endpoints.get(machine.name)) for machine, look in chosen]
        order = {name: index for index, name in enumerate(self.declared)}
        hosts.sort(key=lambda host: (order.get(host.name, len(order)), host.name))
        names = {host.name for host in hosts}
        for node in self.nodes():
            if node.name in names:
                self.notices.append(f"the Kubernetes node {node.name} has the name of a machine: it is left out")
            else:
                names.add(node.name)
                hosts.append(node)
        return Found(tuple(hosts), tuple(self.notices))

    # What the providers say

    def containers(self) -> dict[str, engine.Container]:
        """The engine's containers by id, asked once. Raises EngineError each time it failed."""
        if self._containers is None:
            try:
                self._engine_url = self.settings.docker_host or engine.docker_host(self.settings.environ, Path.home())
                listed = engine.containers(self._engine_url, self.settings.timeout, self.settings.environ)
                self._containers = {container.id: container for container in listed}
            except engine.EngineError as error:
                self._containers = error
            except StateError as error:
                self._containers = engine.EngineError(str(error))
        if isinstance(self._containers, engine.EngineError):
            raise self._containers
        return self._containers

    def guests(self, provider: str) -> dict[str, hypervisor.Guest]:
        """The hypervisor's machines by UUID, asked once. Raises HypervisorError each time it failed."""
        from . import hypervisor

        if provider not in self._guests:
            try:
                self._guests[provider] = (
                    hypervisor.virtualbox_guests(self.settings.timeout)
                    if provider == "virtualbox"
                    else hypervisor.libvirt_guests(self.settings.timeout, self.settings.libvirt_uri)
                )
            except hypervisor.HypervisorError as error:
                self._guests[provider] = str(error)
        guests = self._guests[provider]
        if isinstance(guests, str):
            raise hypervisor.HypervisorError(guests)
        return guests

    def look(self, machine: vagrant.Machine) -> _Look:
        if machine.problem:
            return _Look("unknown", machine.problem)
        foreign = ""
        if self.settings.deployment and machine.name not in self.declared:
            foreign = f"not in {printable(self.settings.deployment.path)}: add it there, or destroy it"
        try:
            if machine.provider == "docker":
                return self.look_at_container(machine, foreign)
            guest = self.guests(machine.provider).get(machine.id.lower())
        except UnknownStateError as error:
            return _Look("unknown", foreign or str(error))
        if guest is None:
            return _Look("missing", foreign or f"{machine.provider} does not know it: vagrant up makes it anew")
        if guest.state != "running":
            return _Look(guest.state, foreign or f"it is {printable(guest.state)}: vagrant up starts it")
        return _Look("running", foreign, guest.ssh)

    def look_at_container(self, machine: vagrant.Machine, foreign: str) -> _Look:
        container = self.containers().get(machine.id)
        if container is None:
            lost = f"the docker engine does not know its container {machine.id[:12]}: vagrant up makes it anew"
            return _Look("missing", foreign or lost)
        if container.state != "running":
            stopped = f"its container is {printable(container.state)}: vagrant up starts it"
            return _Look(container.state, foreign or stopped, container=container)
        return _Look("running", foreign, container.ssh(engine.engine_host(self._engine_url)), container)

    def chosen(
        self, machines: Sequence[vagrant.Machine], looks: Sequence[_Look]
    ) -> list[tuple[vagrant.Machine, _Look]]:
        """One machine a name: the first usable one, else the first."""
        chosen: dict[str, tuple[vagrant.Machine, _Look]] = {}
        for machine, look in zip(machines, looks, strict=True):
            other = chosen.get(machine.name)
            if other is None:
                chosen[machine.name] = (machine, look)
                continue
            kept, ignored = (
                ((machine, look), other) if other[1].problem and not look.problem else (other, (machine, look))
            )
            chosen[machine.name] = kept
            self.notices.append(
                f"{printable(machine.name)} is there twice: "
                f"{kept[0].provider} in {printable(kept[0].project)} is used, "
                f"{printable(ignored[0].provider)} in {printable(ignored[0].project)} is not"
            )
        return list(chosen.values())

    def ssh_config(self, usable: Sequence[tuple[vagrant.Machine, _Look]]) -> dict[str, vagrant.Ssh]:
        found: dict[str, vagrant.Ssh] = {}
        states = dict.fromkeys(state for _project, state in self.settings.projects)
        groups: dict[tuple[Path, Path], list[tuple[vagrant.Machine, _Look]]] = {}
        for machine, look in usable:
            state = next(state for state in states if state in machine.folder.parents)
            groups.setdefault((machine.project, state), []).append((machine, look))
        for (project, state), mine in groups.items():
            names = [machine.name for machine, _look in mine]
            mark = [
                fingerprint([project / "Vagrantfile", *vagrant.state_files(state, self.settings.vagrant_home)]),
                [[machine.name, machine.id, look.ssh and [look.ssh.host, look.ssh.port]] for machine, look in mine],
            ]

            def ask(project: Path = project, state: Path = state, names: Sequence[str] = names) -> Any:
                hosts = vagrant.ssh_config(project, state, names, max(self.settings.timeout, 60))
                return {name: asdict(ssh) for name, ssh in hosts.items()}

            try:
                for name, ssh in self.settings.cached(f"ssh-config {state}", mark, ask).items():
                    found[name] = vagrant.Ssh(engine.Endpoint(**ssh["endpoint"]), ssh["user"], ssh["private_key"])
            except StateError as error:
                self.notices.append(f"{error}; Vagrant's files are used instead")
        return found

    # Machines

    def machine(self, machine: vagrant.Machine, look: _Look, ssh: vagrant.Ssh | None) -> Host:
        settings = self.settings
        address, source, trouble = self.address(machine, look)
        endpoint = ssh.endpoint if ssh else look.ssh
        if endpoint is None and address:
            endpoint = engine.Endpoint(address, 22, source)
        key, key_source = (str(machine.private_key), "vagrant state") if machine.private_key else ("", "")
        if ssh and ssh.private_key:
            key, key_source = ssh.private_key, "vagrant ssh-config"
        variables: dict[str, Any] = {
            "ansible_user": (ssh.user if ssh else "") or settings.ssh_user,
            "vagrant_minikube_kind": "machine",
            "vagrant_minikube_provider": machine.provider,
            "vagrant_minikube_id": machine.id,
            "vagrant_minikube_state": look.state,
            "vagrant_minikube_project": str(machine.project),
            "vagrant_minikube_box": machine.box,
        }
        sources = {}
        if endpoint:
            variables |= {"ansible_host": endpoint.host, "ansible_port": endpoint.port}
            sources["ansible_host"] = endpoint.source
        if key:
            variables["ansible_ssh_private_key_file"] = key
            sources["ansible_ssh_private_key_file"] = key_source
        if settings.ssh_common_args:
            variables["ansible_ssh_common_args"] = settings.ssh_common_args
        if address:
            variables["vagrant_minikube_address"] = address
            sources["vagrant_minikube_address"] = source
        problem = look.problem
        if not problem and not address:
            problem = "it has no address" + (f" ({trouble})" if trouble else "")
        variables["vagrant_minikube_sources"] = sources
        return Host(
            machine.name, self.groups.get(machine.name, ()), variables, problem, "name cannot be" not in machine.problem
        )

    def address(self, machine: vagrant.Machine, look: _Look) -> tuple[str, str, str]:
        """(address for peers, its source, what went wrong on the way), by the order of the settings."""
        trouble = ""
        for source in self.settings.address_order:
            if source == "docker" and look.container:
                own = look.container.address(self.network)
                if own:
                    return own[1], f"docker network {own[0]}", ""
            elif source == "declared" and machine.name in self.declared:
                return self.declared[machine.name], self.declared_in, ""
            elif look.state == "running" and (source, machine.provider) in (
                ("guestproperty", "virtualbox"),
                ("lease", "libvirt"),
            ):
                try:
                    found = self.guest_address(machine)
                except UnknownStateError as error:
                    trouble = str(error)
                    continue
                if found:
                    return found, "VBoxManage guestproperty" if source == "guestproperty" else "libvirt lease", ""
        return "", "", trouble

    def guest_address(self, machine: vagrant.Machine) -> str | None:
        from . import hypervisor

        network, timeout = str(self.network) if self.network else None, self.settings.timeout
        if machine.provider == "virtualbox":
            return hypervisor.virtualbox_address(machine.id, network, timeout)
        return hypervisor.libvirt_address(machine.id, machine.name, network, timeout, self.settings.libvirt_uri)

    # Kubernetes nodes

    def nodes(self) -> list[Host]:
        profile = self.profile_nodes()
        settings = self.settings
        problem = ""
        found: tuple[minikube.Node, ...] = ()
        if settings.kubeconfig is not None and settings.kubeconfig.exists():
            from . import kubeconfig

            try:
                chosen = kubeconfig.context(settings.kubeconfig, settings.kubernetes_context)
                found = self.api_nodes(chosen)
            except FileNotFoundError:
                pass
            except (StateError, kubeconfig.ClusterError) as error:
                problem = str(error)
        if problem:
            nodes = profile or self.declared_cluster()
            if not nodes:
                self.notices.append(problem)
            return [self.node(node, problem) for node in nodes]
        return [self.node(node, self.node_problem(node)) for node in minikube.merged(found, profile)]

    def declared_cluster(self) -> tuple[minikube.Node, ...]:
        cluster = self.settings.deployment.cluster if self.settings.deployment else None
        if cluster is None:
            return ()
        return (minikube.Node(cluster.name, cluster.address, cluster.name, "", True, True, "declared"),)

    def api_nodes(self, chosen: kubeconfig.Context) -> tuple[minikube.Node, ...]:
        from . import kubeconfig

        settings = self.settings
        around: list[Any] = []
        if self.network:
            # The embedded cluster's nodes are containers on the deployment's network: a node that stops
            # or comes is seen here.
            try:
                for container in self.containers().values():
                    own = container.address(self.network)
                    if own and ipaddress.IPv4Address(own[1]) in self.network and own[1] not in self.declared.values():
                        around.append([container.id, container.state, own[1]])
                        if container.state != "running" and f"//{own[1]}:" in chosen.server:
                            raise kubeconfig.ClusterError(
                                f"{printable((container.names or (container.id,))[0])}, container of the API server "
                                f"{printable(chosen.server)}, is {printable(container.state)}"
                            )
            except engine.EngineError:
                around = []
        mark = [fingerprint([settings.kubeconfig or ""]), chosen.name, str(self.network), sorted(around)]

        def ask() -> Any:
            return [
                asdict(node)
                for node in kubeconfig.nodes(chosen, str(self.network or "") or None, settings.kubernetes_timeout)
            ]

        return tuple(minikube.Node(**node) for node in settings.cached(f"nodes {settings.kubeconfig}", mark, ask))

    def profile_nodes(self) -> tuple[minikube.Node, ...]:
        """Nodes of the profiles asked for; if none are, of the deployment's own cluster's, or of all profiles."""
        settings = self.settings
        deployment = settings.deployment
        cluster = deployment.cluster if deployment else None
        asked = settings.minikube_profiles
        found: list[minikube.Node] = []
        try:
            if asked is None:
                names: Sequence[str] = minikube.profiles(settings.minikube_home) if deployment is None else ()
                # The deployment's own profile has its name, unless another was chosen.
                names = (deployment.name, cluster.name) if deployment and cluster else names
            else:
                names = minikube.profiles(settings.minikube_home) if "*" in asked else asked
        except StateError as error:
            self.notices.append(str(error))
            return ()
        for name in names:
            try:
                nodes = minikube.nodes(settings.minikube_home, name)
            except FileNotFoundError:
                if asked and "*" not in asked:
                    self.notices.append(
                        f"there is no minikube profile {printable(name)} in {printable(settings.minikube_home)}"
                    )
                continue
            except StateError as error:
                self.notices.append(str(error))
                continue
            # A profile that only has the same name is somebody else's cluster.
            if asked is None and cluster and cluster.address not in {node.address for node in nodes}:
                continue
            found += nodes
            if asked is None and cluster:
                break
        return tuple(found)

    def node_problem(self, node: minikube.Node) -> str:
        if not node.address:
            return "it has no address yet"
        container = self.node_container(node)
        if container and container.state != "running":
            return f"its container is {printable(container.state)}"
        # A node that the API calls ready runs.
        state = self.node_machine_state(node) if node.state == "unknown" else "running"
        return "" if state == "running" else f"its machine is {printable(state)}: minikube start -p {node.cluster}"

    def node_machine_state(self, node: minikube.Node) -> str:
        """State of the virtual machine of a profile's node; running where nobody here can know."""
        if minikube.stopped_program(self.settings.minikube_home, node):
            return "stopped"
        if node.driver not in ("virtualbox", "kvm2", "kvm"):
            return "running"
        from . import hypervisor

        try:
            if node.driver == "virtualbox":
                states = {guest.name: guest.state for guest in self.guests("virtualbox").values()}
            else:
                states = hypervisor.libvirt_states(self.settings.timeout, self.settings.libvirt_uri)
        except UnknownStateError:
            return "running"
        return states.get(node.name, "gone")

    def node_container(self, node: minikube.Node) -> engine.Container | None:
        """The container of a node of minikube's docker driver, which bears the node's name, if the engine has it."""
        if node.driver != "docker":
            return None
        try:
            return next((container for container in self.containers().values() if node.name in container.names), None)
        except engine.EngineError:
            return None

    def node(self, node: minikube.Node, problem: str) -> Host:
        container = self.node_container(node)
        endpoint = node.ssh
        if container:
            endpoint = container.ssh(engine.engine_host(self._engine_url)) or endpoint
        variables: dict[str, Any] = {
            "vagrant_minikube_kind": "node",
            "vagrant_minikube_cluster": node.cluster,
            "vagrant_minikube_driver": node.driver,
            "vagrant_minikube_kubernetes_version": node.kubernetes_version,
            "vagrant_minikube_control_plane": node.control_plane,
            "vagrant_minikube_worker": node.worker,
            "vagrant_minikube_state": node.state,
        }
        sources = {}
        if node.address:
            bracketed = f"[{node.address}]" if ":" in node.address else node.address
            variables |= {
                "ansible_host": node.address,
                "vagrant_minikube_address": node.address,
                "vagrant_minikube_node_port_urls": {
                    name: f"http://{bracketed}:{port}" for name, port in self.settings.node_ports.items()
                },
            }
            sources = {"ansible_host": node.source, "vagrant_minikube_address": node.source}
        if endpoint and node.ssh_user:
            variables |= {"ansible_host": endpoint.host, "ansible_port": endpoint.port, "ansible_user": node.ssh_user}
            sources["ansible_host"] = endpoint.source
            if node.ssh_private_key:
                variables["ansible_ssh_private_key_file"] = node.ssh_private_key
                sources["ansible_ssh_private_key_file"] = endpoint.source
            if self.settings.ssh_common_args:
                variables["ansible_ssh_common_args"] = self.settings.ssh_common_args
        variables["vagrant_minikube_sources"] = sources
        return Host(node.name, ("kubernetes",), variables, problem)
