# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports through a proxy: a quotation of several pages, and a hundred of them at once. Adds the module sale."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT
from support.deployment import Deployment, eventually
from support.odoo import Door, Odoo, proxies
from support.paper import read
from support.prometheus import Prometheus

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out


@pytest.fixture(scope="module")
def door(deployment: Deployment) -> Door:
    """The administrator at the first proxy, in an Odoo that sells."""
    modules = json.dumps({"odoo_k8s_modules": ["base", "web", "bus", "sale"]})
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    subprocess.run([ansible, "playbooks/odoo.yml", "-e", modules], cwd=ROOT, check=True)
    door = next(iter(proxies(deployment).values()))
    door.log_in("admin", deployment.secret("odoo_admin_password"))
    return door


def spelt(number: int) -> str:
    """Digits as words, which cannot be taken for each other."""
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return " ".join(words[int(digit)] for digit in str(number))


def quotation(door: Door, lines: int, first: int = 0) -> int:
    """A new quotation with so many lines, numbered in words from `first` on."""
    partner = door.call("res.partner", "create", {"name": "Mrs Paper"})
    product = door.call("product.product", "create", {"name": "Folio"})
    one = [{"product_id": product, "name": f"Folio {spelt(first + number)} ends"} for number in range(lines)]
    order = {"partner_id": partner, "order_line": [[0, 0, line] for line in one]}
    return int(door.call("sale.order", "create", order))


def printed(door: Door, order: int) -> bytes:
    """The quotation as a PDF."""
    answer = door.http.get(
        f"{door.url}/report/pdf/sale.report_saleorder/{order}",
        headers={"Cookie": f"session_id={door.session_id}"},
        timeout=700,
    )
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text[:300]}"
    assert answer.headers["Content-Type"] == "application/pdf"
    return answer.content


def restarted(deployment: Deployment) -> dict[str, int]:
    """How often each web pod's container was started again."""
    return {pod.metadata.name: pod.status.container_statuses[0].restart_count for pod in Odoo(deployment).pods()}


def most_memory(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """By web pod: the most that it used in the last quarter of an hour as cAdvisor saw it, and its limit, in MiB."""
    pods = {pod.metadata.name: pod.spec.containers[0] for pod in Odoo(deployment).pods()}
    used = 'max_over_time(container_memory_working_set_bytes{container="odoo", pod!=""}[15m])'
    return {
        labels["pod"]: (int(most) >> 20, int(pods[labels["pod"]].resources.limits["memory"].removesuffix("Mi")))
        for labels, most in Prometheus(deployment).query(used)
        if labels["pod"] in pods
    }


def test_a_quotation_of_several_pages(door: Door) -> None:
    """Who it is for stands on the first page, and every line is there once, in its order."""
    short, long = (read(printed(door, quotation(door, lines))) for lines in (1, 120))
    assert len(short) == 1
    assert len(long) >= 3
    assert "Mrs Paper" in long[0]
    assert re.findall(r"Folio ([a-z ]+) ends", "\n".join(long)) == [spelt(number) for number in range(120)]


def test_a_hundred_documents_at_once(door: Door, deployment: Deployment) -> None:
    """All workers print at the same time: each document has its own line on it, and no pod reaches its limit."""
    restarts = restarted(deployment)
    orders = [quotation(door, 1, 1000 + number) for number in range(100)]
    with ThreadPoolExecutor(len(orders)) as pool:
        alike = functools.partial(Door, door.url, door.session_id, door.http.verify)
        pdfs = list(pool.map(lambda order: printed(alike(), order), orders))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(lambda pdf: "\n".join(read(pdf)), pdfs))
    written = [re.findall(r"Folio ([a-z ]+) ends", text) for text in texts]
    assert written == [[spelt(1000 + number)] for number in range(100)]
    most = eventually(lambda: most_memory(deployment), 60)
    print(f"most memory of a web pod, and its limit, in MiB: {most}")
    assert len(most) == len(restarts)
    assert all(used < limit for used, limit in most.values()), most
    assert restarted(deployment) == restarts
