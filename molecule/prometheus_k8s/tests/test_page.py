# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of dashboards, in a real browser."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

PAGE = "http://192.168.133.100:30090/user/"
testinfra_hosts = ["local://"]
# Nothing but the page itself is asked for.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOSTILE = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """A person who has logged in."""
    password = (Path(os.environ["ODOO_DEPLOY_DIR"]) / "secrets" / "prometheus_password").read_text().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser.new_context(http_credentials={"username": "admin", "password": password})
        browser.close()


def look(page: Page, place: str = "") -> list[str]:
    """What the console said until the page was drawn."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda problem: said.append(str(problem)))
    page.goto(f"{PAGE}#{place}")
    page.wait_for_selector("body[data-looked]", state="attached", timeout=30_000)
    return said


# Without Odoo and PostgreSQL the overview has alerts and targets to draw.
@pytest.mark.parametrize(
    ("board", "name", "drawn"), [("overview", "Overview", 2), ("machines", "Machines and cluster", 3)]
)
def test_a_dashboard_is_drawn(browser: BrowserContext, board: str, name: str, drawn: int) -> None:
    """Plots with lines in them, no error, and a console that stays empty."""
    page = browser.new_page()
    assert look(page, f"{board}/15m") == []
    assert page.locator("nav a[aria-current]").inner_text().startswith(name)
    assert page.locator(".panel .error").count() == 0
    assert page.locator("#problem").is_hidden()
    plots = page.locator(".panel canvas")
    assert plots.count() >= drawn
    # Lines are coloured; axes and grids are grey.
    coloured = """canvas => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) {
        const colours = [data[at], data[at + 1], data[at + 2]];
        if (Math.max(...colours) - Math.min(...colours) > 60) return true;
      }
      return false;
    }"""
    assert any(plots.nth(number).evaluate(coloured) for number in range(plots.count()))
    page.close()


def test_alerts_that_fire_say_what_to_do(browser: BrowserContext) -> None:
    """Nobody serves Odoo here, which is told, with its command and its panels."""
    page = browser.new_page()
    look(page)
    page.wait_for_selector("#alerts article:has-text('OdooNotReachable')", timeout=120_000)
    article = page.locator("#alerts article", has_text="OdooNotReachable").first
    assert article.locator("code").inner_text() == "./run.py status"
    article.get_by_role("link", name="panels").click()
    page.wait_for_selector("nav a[aria-current]:has-text('Edge')")
    page.close()


def test_backups_that_nobody_takes_are_not_shown(browser: BrowserContext) -> None:
    """There is no PostgreSQL in this scenario."""
    page = browser.new_page()
    look(page)
    assert page.locator("nav a", has_text="Edge").count() == 1
    assert page.locator("nav a", has_text="Backups").count() == 0
    page.close()


@pytest.mark.parametrize("board", ["overview", "postgres", "machines"])
def test_a_telephone_shows_all_of_it(browser: BrowserContext, board: str) -> None:
    page = browser.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    look(page, board)
    wide = "() => document.documentElement.scrollWidth"
    assert page.locator("body").evaluate(wide) <= 360
    page.close()


def test_what_others_write_is_text(browser: BrowserContext) -> None:
    """Names, labels and annotations of others run nothing and are shown as they are."""

    def alerts(route: Route) -> None:
        alert: dict[str, Any] = {
            "labels": {"alertname": HOSTILE, "severity": "page", "part": HOSTILE},
            "annotations": {"summary": HOSTILE, "next": HOSTILE, "runbook": "javascript:alert(1)"},
            "state": "firing",
            "activeAt": "2026-01-01T00:00:00Z",
        }
        route.fulfill(json={"status": "success", "data": {"alerts": [alert]}})

    def dashboards(route: Route) -> None:
        queries = [{"expr": "up", "legend": f"{HOSTILE} {{{{job}}}}"}]
        panels = [
            {"title": HOSTILE, "unit": "number", "kind": kind, "limit": None, "queries": queries}
            for kind in ("lines", "latest")
        ]
        board = {"id": "a", "title": HOSTILE, "parts": [], "panels": panels}
        marks = [{"title": HOSTILE, "expr": "time() - 60"}]
        route.fulfill(json={"deployment": HOSTILE, "scrape": 5, "marks": marks, "dashboards": [board]})

    page = browser.new_page()
    page.route("**/api/v1/alerts*", alerts)
    page.route("**/dashboards.json", dashboards)
    assert look(page) == []
    assert page.locator("img, main script").count() == 0
    # Deployment, dashboard, alert with summary and command, panels, legends.
    assert page.locator("body").inner_text().count("onerror") >= 8
    assert page.locator("a[href^='javascript']").count() == 0
    assert page.title() != "taken over"
    page.close()


def test_what_prometheus_refuses_is_said(browser: BrowserContext) -> None:
    """In its panel; others are shown all the same."""
    page = browser.new_page()

    def refuse(route: Route) -> None:
        route.fulfill(status=422, body=json.dumps({"status": "error", "error": "the query is too wide"}))

    page.route("**/api/v1/query_range*", refuse)
    look(page)
    errors = page.locator(".panel .error").all_inner_texts()
    assert set(errors) == {"the query is too wide"}
    assert page.locator(".panel table.latest, .panel .none").count() > 0
    assert page.locator("#marks").inner_text() == "No marks: the query is too wide"
    page.close()
