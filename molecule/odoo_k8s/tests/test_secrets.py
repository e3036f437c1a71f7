# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords are where they belong, and the doors that Odoo leaves open are shut."""

from __future__ import annotations

from conftest import NAMESPACE, Deployment

SECRETS = ("postgres_odoo_password", "postgres_session_db_password", "odoo_admin_password", "odoo_master_password")


def test_no_secret_in_configmaps_pod_specs_arguments_environment_or_logs(deployment: Deployment) -> None:
    """Looked for in every ConfigMap, pod specification, /proc/*/cmdline, /proc/*/environ and log of the namespace."""
    seen = [str(deployment.core.list_namespaced_config_map(NAMESPACE).to_dict())]
    pods = deployment.core.list_namespaced_pod(NAMESPACE).items
    seen += [str(pod.to_dict()) for pod in pods]
    seen += [deployment.core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE) for pod in pods]
    for pod in deployment.pods():
        seen.append(pod.run("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"))
    assert any("PGSERVICEFILE" in text for text in seen), "the environment was not read"
    for name in SECRETS:
        secret = deployment.secret(name)
        assert len(secret) == 32
        assert not any(secret in text for text in seen), f"{name} is readable"


def test_the_database_manager_is_shut_and_the_master_password_hashed(deployment: Deployment) -> None:
    """list_db is off, other databases are not reachable, admin_passwd is no plain text on the pod."""
    pod = deployment.pods()[0]
    assert "error" in pod.rpc("/web/database/list", {})
    assert b"session_db" not in pod.request("GET", "/web/database/selector")[2]
    conf = pod.run("cat", "/tmp/odoo-deploy/odoo.conf")
    assert "admin_passwd = $pbkdf2-sha512$" in conf
    assert "list_db = False" in conf


def test_pods_are_confined(deployment: Deployment) -> None:
    """Not root, nothing writable but scratch, no token, no capability."""
    pod = deployment.pods()[0]
    assert pod.run("id", "-u").strip() == "10001"
    assert "Read-only file system" in pod.run("sh", "-c", "echo x > /opt/x; true")
    assert "No such file" in pod.run("ls", "/var/run/secrets/kubernetes.io")
    assert "CapEff:\t0000000000000000" in pod.run("cat", "/proc/self/status")
    assert "Seccomp:\t2" in pod.run("cat", "/proc/self/status")
