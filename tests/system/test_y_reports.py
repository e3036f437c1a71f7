# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports through a proxy: a quotation of several pages, and a hundred of them at once. Adds the module sale."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT
from support.deployment import Deployment
from support.odoo import Door, proxies

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

# What each page draws. Debian's wkhtmltopdf draws the letters of a web font as lines, so there is no text to look for.
DRAWN = """
import hashlib, sys, PyPDF2
for page in PyPDF2.PdfReader(sys.stdin.buffer).pages:
    data = page.get_contents().get_data()
    print(len(data), hashlib.sha256(data).hexdigest())
"""


@pytest.fixture(scope="module")
def door(deployment: Deployment) -> Door:
    """The administrator at the first proxy, in an Odoo that sells."""
    modules = json.dumps({"odoo_k8s_modules": ["base", "web", "bus", "sale"]})
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    subprocess.run([ansible, "playbooks/odoo.yml", "-e", modules], cwd=ROOT, check=True)
    door = next(iter(proxies(deployment).values()))
    door.log_in("admin", deployment.secret("odoo_admin_password"))
    return door


def quotation(door: Door, lines: int) -> int:
    """A new quotation with so many lines."""
    partner = door.call("res.partner", "create", {"name": "Mrs Paper"})
    product = door.call("product.product", "create", {"name": "Folio"})
    one = [{"product_id": product, "name": f"Folio line {number}", "product_uom_qty": 1} for number in range(lines)]
    return int(door.call("sale.order", "create", {"partner_id": partner, "order_line": [[0, 0, line] for line in one]}))


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


def pages(deployment: Deployment, pdf: bytes) -> list[tuple[int, str]]:
    """Bytes and hash of what each page draws, read by the PDF library of Odoo's own image."""
    web = deployment.cluster.apps.read_namespaced_deployment("odoo", "odoo")
    image = web.spec.template.spec.containers[0].image
    command = ["docker", "run", "--rm", "-i", "--network", "none", image, "python3", "-c", DRAWN]
    read = subprocess.run(command, input=pdf, check=True, capture_output=True)
    return [(int(line.split()[0]), line.split()[1]) for line in read.stdout.decode().splitlines()]


def test_a_quotation_of_several_pages(door: Door, deployment: Deployment) -> None:
    """More lines are more pages, and none of them is blank."""
    short, long = (pages(deployment, printed(door, quotation(door, lines))) for lines in (1, 120))
    assert len(short) == 1
    assert len(long) >= 3
    assert all(drawn > 2000 for drawn, _hash in [*short, *long])
    assert len({drawn for _length, drawn in long}) == len(long)


def test_a_hundred_documents_at_once(door: Door, deployment: Deployment) -> None:
    """All workers print at the same time: every document comes, each with its own number on it."""
    orders = [quotation(door, 3) for _unused in range(100)]
    with ThreadPoolExecutor(len(orders)) as pool:
        pdfs = list(pool.map(lambda order: printed(Door(door.url, door.session_id, door.http.verify), order), orders))
    first_pages = [pages(deployment, pdf)[0] for pdf in pdfs[::10]]
    assert len(set(first_pages)) == len(first_pages)
    assert all(pdf.startswith(b"%PDF-") for pdf in pdfs)
