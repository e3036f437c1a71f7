# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support.deployment import Deployment
from support.odoo import Odoo

# Nothing but the pages themselves is asked for.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        browser.close()


def log_in(page: Page, address: str, password: str) -> None:
    page.goto(f"http://{address}/web/login")
    page.fill("#login", "admin")
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_selector(".o_main_navbar", timeout=60_000)


def test_form_saved_through_one_proxy_is_read_through_the_other(browser: Browser, deployment: Deployment) -> None:
    """A company's name is edited in the form at nginx1 and read at nginx2."""
    first, second = (machine.address for machine in deployment.machines("nginx"))
    password = deployment.secret("odoo_admin_password")
    name = f"Company {uuid4().hex[:8]}"
    page = browser.new_page()
    log_in(page, first, password)
    page.goto(f"http://{first}/web#id=1&model=res.company&view_type=form")
    page.wait_for_selector(".o_form_view", timeout=60_000)
    # To 15 a form is read until somebody edits it; from 16 on it can always be edited.
    if int(Odoo(deployment).environment["ODOO_VERSION"]) < 16:
        page.click(".o_form_button_edit")
        page.fill("input[name=name]", name)
        page.click(".o_form_button_save")
        page.wait_for_selector(".o_form_readonly", timeout=60_000)
    else:
        page.fill("div[name=name] input", name)
        page.click(".o_form_button_save")
        page.wait_for_selector(".o_form_saved", timeout=60_000, state="attached")
    # A window of its own: Odoo reloads the first one after a company was saved, in the midst of whatever it does next.
    page = browser.new_page()
    log_in(page, second, password)
    page.goto(f"http://{second}/web#id=1&model=res.company&view_type=form")
    inputs = "[...document.querySelectorAll('input')]"
    page.wait_for_function(
        f"name => document.body.innerText.includes(name) || {inputs}.some(input => input.value === name)",
        arg=name,
        timeout=60_000,
    )
