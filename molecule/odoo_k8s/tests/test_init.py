# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is initialised once, whatever is killed and whoever comes at the same time."""

from __future__ import annotations

import time

from conftest import NAMESPACE, Deployment, eventually, sql

# A pod's connections carry its name.
HOLDER = (
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)"
    " WHERE locktype = 'advisory' AND granted AND datname = current_database() LIMIT 1"
)


def job_like(deployment: Deployment, name: str, database: str) -> None:
    """Start a Job like the one that initialised the deployment, on another database."""
    client = deployment.batch.api_client
    jobs = deployment.batch.list_namespaced_job(NAMESPACE, label_selector="app.kubernetes.io/component=init").items
    source = next(job for job in jobs if job.status.succeeded)
    body = client.sanitize_for_serialization(source)
    spec = body["spec"]
    for key in ("selector", "manualSelector"):
        spec.pop(key, None)
    labels = {"app.kubernetes.io/name": "odoo", "app.kubernetes.io/component": "test"}
    spec["template"]["metadata"] = {"labels": labels}
    for variable in spec["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "ODOO_DATABASE":
            variable["value"] = database
    deployment.batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": name, "labels": labels}, "spec": spec})


def succeeded(deployment: Deployment, name: str) -> bool:
    """Whether the Job is over and well."""
    return bool(deployment.batch.read_namespaced_job(name, NAMESPACE).status.succeeded)


def log(deployment: Deployment, name: str) -> str:
    """What the Job's pods said."""
    pods = deployment.core.list_namespaced_pod(NAMESPACE, label_selector=f"batch.kubernetes.io/job-name={name}").items
    return "\n".join(deployment.core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE) for pod in pods)


def test_killed_half_way_twice_and_two_at_once(host, deployment: Deployment) -> None:
    """Pods killed 2 and 5 s into the initialisation, two Jobs on one database: initialised once, one Job waited."""
    database = "proof_init"
    sql(host, "postgres", f"DROP DATABASE IF EXISTS {database} (FORCE)")
    sql(host, "postgres", f"CREATE DATABASE {database} OWNER odoo")
    # The server lets pods into the databases it was told of; this one is the test's own.
    hba = host.check_output("runuser -u postgres -- psql -qAtX -c 'SHOW hba_file'")
    host.check_output(f"cp -p {hba} {hba}.proof && sed -i -E 's/^(hostssl +)odoo(,| )/\\1odoo,{database}\\2/' {hba}")
    sql(host, "postgres", "SELECT pg_reload_conf()")
    try:
        for name in ("proof-one", "proof-two"):
            job_like(deployment, name, database)
        for seconds in (2, 5):
            eventually(lambda: bool(sql(host, database, HOLDER)), 60, "a job holds the lock")
            time.sleep(seconds)
            holder = sql(host, database, HOLDER)
            deployment.core.delete_namespaced_pod(holder, NAMESPACE, grace_period_seconds=0)
            eventually(lambda holder=holder: sql(host, database, HOLDER) != holder, 30, "the lock is free")
        for name in ("proof-one", "proof-two"):
            eventually(lambda name=name: succeeded(deployment, name), 300, f"job {name} succeeds")
        assert sql(host, database, "SELECT value FROM ir_config_parameter WHERE key = 'odoo_deploy.state'") == "ready"
        assert sql(host, database, "SELECT count(*) FROM ir_attachment WHERE store_fname IS NOT NULL") == "0"
        assert sql(host, database, "SELECT count(*) FROM ir_module_module WHERE state LIKE 'to %'") == "0"
        assert sql(host, database, "SELECT count(*) FROM res_users WHERE login = 'admin'") == "1"
        both = log(deployment, "proof-one") + log(deployment, "proof-two")
        assert "waiting: another job holds the lock" in both
    finally:
        for name in ("proof-one", "proof-two"):
            deployment.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Foreground")
        host.check_output(f"mv {hba}.proof {hba}")
        sql(host, "postgres", "SELECT pg_reload_conf()")
        sql(host, "postgres", f"DROP DATABASE IF EXISTS {database} (FORCE)")
        sql(host, "session_db", f"DELETE FROM odoo_deploy_initialised WHERE name = '{database}'")


def test_database_away_is_no_reason_to_restart(host, deployment: Deployment) -> None:
    """The server stops for 40 s: pods are not ready, are not restarted, and serve again within 20 s of its return."""
    before = [(pod.name, pod.restarts()) for pod in deployment.pods()]
    unit = host.check_output("systemctl list-units --plain --no-legend 'postgresql@*' | cut -d' ' -f1")
    host.check_output("systemctl stop %s", unit)
    try:
        eventually(lambda: not any(pod.ready() for pod in deployment.pods()), 30, "no pod is ready")
        time.sleep(25)
    finally:
        host.check_output("systemctl start %s", unit)
    eventually(lambda: all(pod.ready() for pod in deployment.pods()), 20, "all pods are ready")
    assert [(pod.name, pod.restarts()) for pod in deployment.pods()] == before
    session = deployment.login(deployment.pods()[0])
    assert deployment.pods()[1].call(session, "res.partner", "create", {"name": "after"})
