# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards as the role deploys them, and the page that shows them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "prometheus_k8s"
PAGE = ROLE / "files" / "page"
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.panels import problems  # noqa: E402
from support.promql import metrics  # noqa: E402

SOURCE: dict[str, Any] = yaml.safe_load((ROLE / "files" / "dashboards.yml").read_text())
PANELS = [(board["id"], panel) for board in SOURCE["dashboards"] for panel in board["panels"]]
Evaluate = Callable[..., dict[str, Any]]
# uPlot 1.6.32, files of the npm package's dist/. The package's integrity:
# sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def test_uplot_is_what_npm_has() -> None:
    assert {name: hashlib.sha256((PAGE / name).read_bytes()).hexdigest() for name in UPLOT} == UPLOT


def test_the_page_writes_text_only_and_asks_its_own_server_only() -> None:
    script, text = (PAGE / "page.js").read_text(), (PAGE / "index.html").read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert not re.findall(r"<script(?![^>]*src=)|\son\w+=|style=", text)
    assert not re.findall(r"https?://(?!\$)", text + re.sub(r"https\?:", "", script))
    assert {*re.findall(r'(?:src|href)="([\w.]+\.(?:js|css))"', text)} == {
        "uPlot.iife.min.js", "uPlot.min.css", "page.js", "page.css",
    }  # fmt: skip


def test_the_page_knows_every_unit() -> None:
    named = re.search(r"const FORMATS = \{(.*?)\n  \};", (PAGE / "page.js").read_text(), re.DOTALL)
    assert named
    assert {panel["unit"] for _board, panel in PANELS} <= set(re.findall(r"^    (\w+):", named[1], re.MULTILINE))


def rendered(tmp_path: Path, template: str, **variables: Any) -> list[dict[str, Any]]:
    """The objects of one of the role's templates, as Ansible makes them."""
    tmp_path.mkdir(exist_ok=True)
    for folder in ("templates", "files"):
        (tmp_path / folder).symlink_to(ROLE / folder)
    files = [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")]
    copy = {"src": template, "dest": str(tmp_path / "made.yml"), "mode": "0600"}
    play = [{
        "hosts": "localhost", "connection": "local", "gather_facts": False, "vars_files": files,
        "tasks": [{"ansible.builtin.template": copy}],
    }]  # fmt: skip
    (tmp_path / "play.yml").write_text(json.dumps(play))
    facts: dict[str, Any] = {
        "__prometheus_k8s_namespace_owner": "new",
        "__prometheus_k8s_nodes_found": {"resources": [{}]},
        "__prometheus_k8s_operator_rules": {"api_found": False, "resources": []},
        "__prometheus_k8s_operator_others": {},
        **variables,
    }
    facts = {name: value for name, value in facts.items() if value is not None}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", "-e", json.dumps(facts)],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CACHE_PLUGIN": "memory"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return list(yaml.safe_load_all((tmp_path / "made.yml").read_text()))


def test_the_page_is_a_config_map(tmp_path: Path) -> None:
    (made,) = rendered(tmp_path, "page.yaml.j2", prometheus_k8s_deployment="erp", prometheus_k8s_scrape_interval="5s")
    assert set(made["data"]) == {path.name for path in PAGE.iterdir()} | {"dashboards.json"}
    for path in PAGE.iterdir():
        assert made["data"][path.name].strip() == path.read_text().strip(), path.name
    page = json.loads(made["data"]["dashboards.json"])
    assert (page["deployment"], page["scrape"], len(page["dashboards"])) == ("erp", 5, 6)
    assert page["dashboards"][0]["panels"][0]["queries"][0]["legend"] == "{{way}}"
    assert sum(map(len, made["data"].values())) < 120_000


def test_grafana_gets_a_config_map(tmp_path: Path) -> None:
    (made,) = rendered(tmp_path, "grafana.yaml.j2", prometheus_k8s_deployment="erp")
    assert made["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert made["metadata"]["annotations"] == {"grafana_folder": "erp"}
    assert len(made["data"]) == 6
    assert json.loads(made["data"]["erp-edge.json"])["panels"][0]["targets"][0]["legendFormat"] == "{{instance}}"


@pytest.mark.parametrize("url", ["", "https://watch.example.com/prometheus"])
def test_alerts_lead_to_their_panels(tmp_path: Path, url: str) -> None:
    objects = rendered(tmp_path, "prometheus.yaml.j2", prometheus_k8s_url=url)
    rules = yaml.safe_load(objects[0]["data"]["alert-rules.yml"])["groups"]
    (alert,) = (rule for group in rules for rule in group["rules"] if rule.get("alert") == "ProxyDown")
    assert alert["annotations"].get("panel") == (f"{url}/user/#edge" if url else None)
    (container,) = objects[1]["spec"]["template"]["spec"]["containers"]
    assert (f"--web.external-url={url}" in container["args"]) is bool(url)
    assert "--web.user-assets=/etc/prometheus-page" in container["args"]


def test_what_is_switched_off_is_removed(evaluate: Evaluate) -> None:
    variables = {
        **yaml.safe_load((ROLE / "defaults" / "main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars" / "main.yml").read_text()),
    }
    cases = {
        "everything": {
            "prometheus_k8s_probes": [{"job": "probe-page"}],
            "prometheus_k8s_registry_login": {"registry": "r", "username": "u", "password": "p"},
            "prometheus_k8s_password": "p",
        },
        "no-dashboards": {"prometheus_k8s_grafana": "no", "prometheus_k8s_probes": [{"job": "probe-page"}]},
        "little": {"prometheus_k8s_alertmanager": False, "prometheus_k8s_grafana": False},
    }
    words = (
        "__prometheus_k8s_templates + ['without'] + (__prometheus_k8s_unwanted | map(attribute='name') | unique | sort)"
    )
    told = evaluate(variables, cases, [{"ansible.builtin.debug": {"msg": f"{{{{ ({words}) | join(' ') }}}}"}}])
    made = {name: text.split(" without")[0].replace(".yaml.j2", "").split() for name, text in told.items()}
    always = {"namespace", "page", "prometheus", "cadvisor"}
    assert set(made["everything"]) == always | {"registry", "alertmanager", "blackbox", "grafana"}
    assert set(made["no-dashboards"]) == always | {"alertmanager", "blackbox"}
    assert set(made["little"]) == always
    assert {templates[0] for templates in made.values()} == {"namespace"}
    removed = {name: text.split(" without")[1].split() for name, text in told.items()}
    assert removed == {
        "everything": [],
        "no-dashboards": ["grafana-dashboards", "prometheus-login", "prometheus-registry"],
        "little": ["alertmanager", "blackbox", "grafana-dashboards", "prometheus-login", "prometheus-registry"],
    }


ANSWER: dict[str, Any] = {"api_found": True, "resources": []}
OPERATOR = {
    "prometheus_k8s_machines": {"pg1": "192.0.2.1"},
    "prometheus_k8s_probes": [{"job": "probe-page", "module": "page", "target": "http://a/", "instance": "n"}],
    "prometheus_k8s_extra_scrape_configs": [{"job_name": "own", "static_configs": [{"targets": ["192.0.2.9:80"]}]}],
    "__prometheus_k8s_nodes_found": {"resources": [{}]},
    "__prometheus_k8s_operator_rules": ANSWER,
    "__prometheus_k8s_operator_others": {
        "results": [
            {**ANSWER, "__prometheus_k8s_kind": {"kind": "ServiceMonitor"}},
            {"__prometheus_k8s_kind": {"kind": "ScrapeConfig"}, "api_found": False, "resources": []},
            {
                **ANSWER,
                "__prometheus_k8s_kind": {"kind": "Probe"},
                "resources": [{"apiVersion": "v1", "kind": "Probe", "metadata": {"name": "old"}}],
            },
        ]
    },
}


def test_an_operator_gets_the_kinds_that_it_knows(tmp_path: Path) -> None:
    """Those that its API server has; what was made before and is not wanted goes."""
    (tmp_path / "templates").mkdir()
    template = tmp_path / "templates" / "said.j2"
    template.write_text("{{ [__prometheus_k8s_operator_objects, __prometheus_k8s_operator_unwanted] | to_json }}")

    def made(name: str, **options: Any) -> tuple[dict[str, Any], list[str]]:
        (found,) = rendered(tmp_path / name, str(template), **{**OPERATOR, **options})
        return {thing["kind"]: thing for thing in found[0]}, [one["name"] for one in found[1]]

    objects, left = made("auto", prometheus_k8s_operator_labels={"release": "stack"})
    assert set(objects) == {"PrometheusRule", "ServiceMonitor", "Probe"}
    assert left == ["old"]
    assert objects["PrometheusRule"]["metadata"]["labels"]["release"] == "stack"
    wanted = objects["PrometheusRule"]["spec"]["groups"][0]["rules"]
    jobs = {rule["labels"]["job"] for rule in wanted if rule["record"] == "targets_wanted"}
    assert jobs == {"alertmanager", "cadvisor", "node", "own", "probe-page"}
    assert made("never", prometheus_k8s_operator="never") == ({}, ["old"])
    nobody = {"api_found": False, "resources": []}
    skipped = {"results": [{"skipped": True, "__prometheus_k8s_kind": {"kind": "Probe"}}]}
    # A trial run on a cluster without the namespace: nothing was asked.
    blind = dict.fromkeys(("__prometheus_k8s_operator_rules", "__prometheus_k8s_operator_others"))
    assert made("blind", __prometheus_k8s_nodes_found={"skipped": True}, **blind) == ({}, [])
    assert made("none", __prometheus_k8s_operator_rules=nobody, __prometheus_k8s_operator_others=skipped) == ({}, [])


def test_a_password_closes_prometheus(tmp_path: Path) -> None:
    """Its hash is what Prometheus compares; the probes send it; neither ConfigMap nor Deployment holds it."""
    login: dict[str, Any] = {"prometheus_k8s_password": "Secret0123456789", "prometheus_k8s_user": "ops"}
    login["prometheus_k8s_logins"] = {"watcher": "Another0123456789"}
    (secret,) = rendered(tmp_path / "secret", "login.yaml.j2", **login)
    told = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    users = yaml.safe_load(told["web.yml"])["basic_auth_users"]
    assert set(users) == {told["user"], "watcher"} == {"ops", "watcher"}
    assert users["ops"].startswith("$2b$10$")
    assert users["watcher"] != users["ops"]
    assert told["password"] == "Secret0123456789"
    basic = base64.b64encode(b"ops:Secret0123456789").decode()
    assert told["ready"] == f"GET /-/ready HTTP/1.0\r\nAuthorization: Basic {basic}\r\n\r\n"
    objects = rendered(tmp_path / "objects", "prometheus.yaml.j2", **login)
    assert "0123456789" not in json.dumps(objects)
    config = yaml.safe_load(objects[0]["data"]["prometheus.yml"])
    assert config["scrape_configs"][0]["basic_auth"] == {
        "username": "ops", "password_file": "/etc/prometheus-login/password",
    }  # fmt: skip
    (container,) = objects[1]["spec"]["template"]["spec"]["containers"]
    assert "--web.config.file=/etc/prometheus-login/web.yml" in container["args"]
    command = container["readinessProbe"]["exec"]["command"]
    assert command[-1] == "nc 127.0.0.1 9090 < /etc/prometheus-login/ready | grep -q '^HTTP/1.. 200'"
    (open_one,) = rendered(tmp_path / "open", "prometheus.yaml.j2")[1]["spec"]["template"]["spec"]["containers"]
    assert "httpGet" in open_one["readinessProbe"]


def test_objectives_are_rules(tmp_path: Path) -> None:
    objectives = {"pages": {"seconds": 1}}
    rules = rendered(tmp_path, "prometheus.yaml.j2", prometheus_k8s_objectives=objectives)[0]["data"]["alert-rules.yml"]
    assert 'zone=~"pages", le="1"' in rules
    assert "$threshold" not in rules


def told(answers: Mapping[str, list[dict[str, Any]]]) -> Callable[..., Any]:
    return lambda _path, **query: {"result": answers.get(query["query"], [])}


def test_a_panel_without_figures_is_found() -> None:
    """What the verification of a deployment asks."""
    board = {"id": "a", "panels": [{"title": "T", "of": "nginx", "queries": [{"expr": "x[$rate]", "legend": "l"}]}]}
    page = {"dashboards": [{**board, "when": "wanted > 0"}]}
    one = {"metric": {"instance": "n1"}, "values": [[1, "NaN"], [2, "1"]]}
    nothing = {"metric": {"instance": "n2"}, "values": [[1, "NaN"], [2, "+Inf"]]}
    names = {"nginx": ["n1", "n2"]}

    def found(*series: dict[str, Any], wanted: bool = True) -> list[str]:
        return problems(told({"x[2m]": list(series), "wanted > 0": [{}] * wanted}), page, 0, lambda name: names[name])

    assert found(one, {**nothing, "values": [[1, "0"]]}) == []
    assert found(one, nothing) == ["a: T: there is none of n2"]
    assert found() == ["a: T: l has no finite value", "a: T: there is none of n1, n2"]
    assert found(wanted=False) == []


def test_the_metrics_of_the_panels_are_known_to_an_exporter_or_a_rule() -> None:
    """A first look, without a deployment: names of other people's exporters are their own."""
    queries = [query["expr"].replace("$rate", "5m") for _board, panel in PANELS for query in panel["queries"]]
    named = {name for expr in queries for name in metrics(expr)}
    ours = {name for name in named if name.startswith(("pg_", "postgres_", "odoo"))}
    assert "pg_in_recovery" in ours
    texts = [path.read_text() for path in (
        *(ROOT / "roles/postgres_exporter/files").iterdir(), ROOT / "roles/postgres_backup/files/postgres_backup.py",
        *(ROOT / "roles/nginx_cache/templates/mtail").iterdir(), ROOT / "plugins/filter/objective_rules.py",
        ROOT / "inventory/wiring/all/monitoring.yml", ROLE / "vars" / "main.yml",
    )]  # fmt: skip
    words = set(re.findall(r"\w+", " ".join(texts)))
    for name in ours:
        parts = re.sub(r"_(bucket|count)$|:ratio_rate\w+$", "", name.removeprefix("odoo:")).split("_")
        assert words & {"_".join(parts[start:]) for start in range(3)}, name
