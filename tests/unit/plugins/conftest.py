# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection importable from a checkout, a home of its own for each test, and what answers over a wire.

The engine and the API server are real servers on a socket; VBoxManage, virsh and vagrant are programs on PATH.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[3]


def _collection_importable() -> None:
    """Under ansible-test and pytest in a collection's own path there is nothing to do."""
    with suppress(ImportError):
        importlib.import_module("ansible_collections.odoo_deploy.stack.plugins.plugin_utils.nodes")
        return
    for name in [name for name in sys.modules if name.split(".")[0] == "ansible_collections"]:
        del sys.modules[name]
    root = Path(tempfile.mkdtemp(prefix="odoo-deploy-collections-"))
    folder = root / "ansible_collections" / "odoo_deploy"
    folder.mkdir(parents=True)
    (folder / "stack").symlink_to(ROOT, target_is_directory=True)
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(root)
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    import atexit

    from ansible.plugins.loader import init_plugin_loader

    atexit.register(shutil.rmtree, root, ignore_errors=True)
    init_plugin_loader([str(root)])


_collection_importable()
# A busy machine is no reason to fail; what a run finds is shown, not kept in the checkout.
hypothesis.settings.register_profile("project", deadline=None, database=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no variable that points a reader elsewhere; no engine unless the test has one."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("VAGRANT_", "DOCKER_", "MINIKUBE_", "ODOO_DEPLOY_", "LIBVIRT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
    return folder


class Engine:
    """The part of the Engine API that is used. ``containers`` is what it lists; ``requests`` what it was asked."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.containers: Any = []
        self.requests: list[str] = []
        self.status = 200
        self.raw: bytes | None = None
        self.delay = self.dribble = 0.0
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                engine.requests.append(self.path)
                threading.Event().wait(engine.delay)
                while engine.dribble:  # a byte now and then, for as long as somebody listens
                    self.wfile.write(b"H")
                    threading.Event().wait(engine.dribble)
                if engine.raw is not None:
                    self.wfile.write(engine.raw)
                    return
                body = json.dumps(engine.containers).encode()
                self.send_response(engine.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingUnixStreamServer):
            daemon_threads = True

            def get_request(self) -> tuple[Any, Any]:
                return super().get_request()[0], ("engine", 0)

            def handle_error(self, *_args: object) -> None:
                pass  # a client that has given up

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def run(self, name: str, identifier: str, address: str, port: int = 2222, **changes: Any) -> None:
        """List one more container, as dockerd 20.10 does."""
        networks = {
            "bridge": {"IPAddress": "172.17.0.9", "IPAMConfig": None},
            "vagrant_network": {"IPAddress": address, "IPAMConfig": {"IPv4Address": address}},
        }
        entry = {
            "Id": identifier,
            "Names": [f"/{name}"],
            "State": "running",
            "Labels": {},
            "Ports": [{"IP": "127.0.0.1", "PrivatePort": 22, "PublicPort": port, "Type": "tcp"}],
            "NetworkSettings": {"Networks": networks},
        }
        self.containers.append(entry | changes)

    def stop(self, identifier: str, state: str = "exited") -> None:
        """What ``docker stop`` leaves: no ports, no address but the one given for good."""
        for entry in self.containers:
            if entry["Id"] == identifier:
                entry |= {"State": state, "Ports": []}
                for network in entry["NetworkSettings"]["Networks"].values():
                    network["IPAddress"] = ""

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A docker engine that the environment points at."""
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # a socket's path has at most 107 bytes
    served = Engine(folder / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", served.url)
    yield served
    served.close()
    shutil.rmtree(folder)


class Project:
    """A Vagrantfile's folder with Vagrant's state, as Vagrant 2.3 writes it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.state = folder / ".vagrant"
        folder.mkdir(exist_ok=True)
        (folder / "Vagrantfile").touch()

    def create(self, name: str, provider: str = "docker", identifier: str = "", key: bool = True) -> str:
        """A machine that ``vagrant up`` made; its id, which is one that the provider would give."""
        identifier = identifier or (f"{abs(hash(name)):064x}" if provider == "docker" else uuid(name))
        path = self.state / "machines" / name / provider
        path.mkdir(parents=True, exist_ok=True)
        (path / "id").write_text(identifier)
        (path / "index_uuid").write_text(f"uuid-{name}-{provider}")
        if key:
            (path / "private_key").write_text("PRIVATE KEY OF " + name)
        return identifier

    def index(self, name: str, provider: str = "docker", **changes: Any) -> None:
        """The machine's entry in Vagrant's index."""
        path = self.home / ".vagrant.d" / "data" / "machine-index" / "index"
        path.parent.mkdir(parents=True, exist_ok=True)
        document = json.loads(path.read_text()) if path.exists() else {"version": 1, "machines": {}}
        document["machines"][f"uuid-{name}-{provider}"] = {
            "local_data_path": str(self.state),
            "name": name,
            "provider": provider,
            "state": "running",
            "vagrantfile_path": str(self.folder),
            "extra_data": {"box": {"name": "debian/bookworm64", "provider": provider, "version": "12.20250126.1"}},
        } | changes
        path.write_text(json.dumps(document))


def uuid(name: str) -> str:
    """A UUID made of the name."""
    digits = f"{abs(hash(name)):032x}"[-32:]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Project:
    return Project(tmp_path / "project", home)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """program(name, script) puts a program on PATH; the file it returns gets a line of arguments for each run."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        log = folder / f"{name}.log"
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$*" >> {log}\n{script}\n')
        path.chmod(0o755)
        return log

    return make


class ApiServer:
    """An API server with a certificate of its own authority, which asks for a client's; ``nodes`` is what it lists."""

    def __init__(self, folder: Path, identifiers: bool = True) -> None:
        self.folder = folder
        self.nodes: list[dict[str, Any]] = []
        self.status = 200
        self.delay = 0.0
        self.requests: list[dict[str, str]] = []
        authority, authority_key = certificate("authority", identifiers=identifiers)
        server, server_key = certificate("server", authority, authority_key, identifiers)
        client, client_key = certificate("client", authority, authority_key, identifiers)
        self.authority, self.client, self.client_key = pem(authority), pem(client), pem_key(client_key)
        (folder / "ca.crt").write_bytes(self.authority)
        (folder / "server.pem").write_bytes(pem(server) + pem_key(server_key))
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer = self.connection.getpeercert()  # type: ignore[attr-defined]
                api.requests.append({"path": self.path, "peer": str(peer), **dict(self.headers)})
                threading.Event().wait(api.delay)
                body = json.dumps({"kind": "NodeList", "items": api.nodes}).encode()
                self.send_response(api.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args: object) -> None:
                pass  # a client that does not trust the server hangs up

        self.server = Server(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem")
        tls.load_verify_locations(folder / "ca.crt")
        tls.verify_mode = ssl.CERT_OPTIONAL
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def add(self, name: str, *addresses: str, ready: bool = True, **changes: Any) -> None:
        """One more node, as the API server tells it."""
        told = [{"type": "InternalIP", "address": address} for address in addresses]
        self.nodes.append(
            {
                "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""}},
                "spec": {},
                "status": {
                    "addresses": [*told, {"type": "Hostname", "address": name}],
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                    "nodeInfo": {"kubeletVersion": "v1.35.4"},
                },
            }
            | changes
        )

    def kubeconfig(self, path: Path, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
        """Write a kubeconfig for this server, by default with a client certificate."""
        import base64

        def encoded(data: bytes) -> str:
            return base64.b64encode(data).decode()

        if user is None:
            user = {"client-certificate-data": encoded(self.client), "client-key-data": encoded(self.client_key)}
        described = {"server": self.url, "certificate-authority-data": encoded(self.authority)} | cluster
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(
                {
                    "current-context": "admin@odoo",
                    "contexts": [{"name": "admin@odoo", "context": {"cluster": "odoo", "user": "admin"}}],
                    "clusters": [{"name": "odoo", "cluster": described}],
                    "users": [{"name": "admin", "user": user}],
                }
            )
        )
        return path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    folder = tmp_path / "api"
    folder.mkdir()
    served = ApiServer(folder)
    yield served
    served.close()


def certificate(name: str, issuer: Any = None, issuer_key: Any = None, identifiers: bool = True) -> tuple[Any, Any]:
    """A certificate for 127.0.0.1 and its key; without an issuer an authority."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(address, critical=False)
    )
    if identifiers:
        public = (issuer_key or key).public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        )
        authority = issuer is None
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_encipherment=not authority,
                key_cert_sign=authority,
                crl_sign=authority,
                **usage,
            ),
            critical=True,
        )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def pem(certificate_: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(certificate_.public_bytes(Encoding.PEM))


def pem_key(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
