# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route that the running Odoo registers, visited by two users and a stranger through every proxy."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, product

import pytest
from requests import Response
from support import odoo
from support.deployment import Deployment
from support.odoo import Door

# Odoo's routing table, asked by code that runs in the server itself.
ENUMERATE = """
action = {'routes': [
    [rule.rule, rule.endpoint.routing.get('type'), sorted(rule.methods or [])]
    for rule in env['ir.http'].routing_map().iter_rules()
]}
"""
PARAMETER = re.compile(r"<(?:(?P<kind>\w+)(?:\([^>]*\))?:)?(?P<name>\w+)>")
STORED = {"HIT", "MISS", "STALE", "UPDATING", "REVALIDATED", "EXPIRED"}
# What makes a page look like a file to a careless cache.
DISGUISES = ("/x.css", "%2fstatic%2fx.js", ";.js")


@dataclass
class Visitor:
    """Who visits: the texts that only this visitor's pages may hold, and the session."""

    name: str
    session_id: str = ""
    markers: set[str] = field(default_factory=set)
    uid: int = 0
    attachment: int = 0


@dataclass
class Ledger:
    """What each visitor was given so far; the ledger fails when something was given to two."""

    visitors: list[Visitor]
    direct: str
    problems: list[str] = field(default_factory=list)
    visits: int = 0
    _sessions: dict[str, str] = field(default_factory=dict)
    _etags: dict[str, tuple[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, visitor: Visitor, path: str, answer: Response) -> None:
        """Note one answer."""
        where = f"{answer.url} for {visitor.name}"
        foreign = {
            marker
            for other in self.visitors
            if other is not visitor
            for marker in other.markers | ({other.session_id} if other.session_id else set())
            if marker.encode() in answer.content or marker in str(answer.headers)
        }
        # Odoo itself may show one user another one's name; the proxy must not add to that.
        if foreign:
            own = Door(self.direct, session_id=visitor.session_id).get(path)
            foreign = {marker for marker in foreign if marker.encode() not in own.content}
        cache = answer.headers.get("X-Cache-Status", "BYPASS")
        public = None
        if cache in STORED and answer.status_code == 200:
            public = Door(self.direct).get(path)
        session = answer.cookies.get("session_id")
        body = hashlib.sha256(answer.content).hexdigest()
        etag = answer.headers.get("ETag")
        with self._lock:
            self.visits += 1
            if foreign:
                self.problems.append(f"{where} shows another visitor's {sorted(foreign)}")
            if public is not None and (public.content != answer.content or public.status_code != 200):
                self.problems.append(f"{where} is {cache}, but it is not what Odoo tells a stranger")
            if cache in STORED and "Set-Cookie" in answer.headers:
                self.problems.append(f"{where} is {cache} and sets a cookie")
            if session and self._sessions.setdefault(session, visitor.name) != visitor.name:
                self.problems.append(f"{where} sets the session of {self._sessions[session]}")
            if etag:
                owner, known = self._etags.setdefault(f"{path} {etag}", (visitor.name, body))
                if known != body and owner != visitor.name and answer.content:
                    self.problems.append(f"{where} has the ETag of what {owner} got, which is something else")


@pytest.fixture(scope="module")
def proxies(deployment: Deployment) -> dict[str, Door]:
    return odoo.proxies(deployment)


@pytest.fixture(scope="module")
def node_door(deployment: Deployment) -> Door:
    return odoo.node_door(deployment)


@pytest.fixture(scope="module")
def admin(node_door: Door, deployment: Deployment) -> Door:
    door = Door(node_door.url)
    door.log_in("admin", deployment.secret("odoo_admin_password"))
    return door


@pytest.fixture(scope="module")
def routes(admin: Door) -> list[str]:
    """Rules of all routes that a GET may reach, logout last: it ends the session it is asked with."""
    (model,) = admin.call("ir.model", "search", [["model", "=", "res.partner"]])
    values = {"name": f"verify {uuid.uuid4().hex}", "model_id": model, "state": "code", "code": ENUMERATE}
    action = admin.call("ir.actions.server", "create", values)
    try:
        found = admin.call("ir.actions.server", "run", [action])["routes"]
    finally:
        admin.call("ir.actions.server", "unlink", [action])
    rules = {rule for rule, kind, methods in found if kind == "http" and (not methods or "GET" in methods)}
    assert len(rules) > 50
    return sorted(rules, key=lambda rule: ("logout" in rule, rule))


@pytest.fixture(scope="module")
def visitors(admin: Door) -> Iterator[list[Visitor]]:
    """Two users, each with a private file, and a stranger; both users are gone afterwards."""
    # 19 calls it group_ids.
    fields = admin.call("res.users", "fields_get", [], ["type"])
    groups = "group_ids" if "group_ids" in fields else "groups_id"
    group = admin.call(
        "ir.model.data", "search_read", [["module", "=", "base"], ["name", "=", "group_user"]], ["res_id"]
    )
    made: list[Visitor] = []
    try:
        for name in ("alice", "bob"):
            mark = uuid.uuid4().hex
            login, password = f"{name}-{mark}@edge.example", uuid.uuid4().hex
            values = {
                "name": f"{name} {mark}",
                "login": login,
                "password": password,
                groups: [[6, 0, [group[0]["res_id"]]]],
            }
            uid = admin.call("res.users", "create", values, context={"no_reset_password": True})
            visitor = Visitor(name, markers={mark}, uid=uid)
            made.append(visitor)
            door = Door(admin.url)
            door.log_in(login, password)
            visitor.session_id = door.session_id
            content = base64.b64encode(f"{name}'s own: {mark}".encode()).decode()
            visitor.attachment = door.call(
                "ir.attachment", "create", {"name": "own.txt", "datas": content, "mimetype": "text/plain"}
            )
        yield [*made, Visitor("stranger")]
    finally:
        for visitor in made:
            admin.call("ir.attachment", "unlink", [visitor.attachment])
            (user,) = admin.call("res.users", "read", [visitor.uid], ["partner_id"])
            admin.call("res.users", "unlink", [visitor.uid])
            admin.call("res.partner", "unlink", [user["partner_id"][0]])


def path_of(rule: str, owner: Visitor) -> str:
    """The rule with its parameters filled in so that, where it can, it names the owner's private file."""
    names = {
        "model": "ir.attachment",
        "field": "datas",
        "filename": "own.css",
        "xmlid": "base.main_company",
        "unique": "0a1b2c3",
    }

    def fill(match: re.Match[str]) -> str:
        if match["kind"] in ("int", "model"):
            return str(owner.attachment)
        return names.get(match["name"], "x")

    return PARAMETER.sub(fill, rule)


def test_nothing_of_one_visitor_reaches_another(
    routes: list[str], visitors: list[Visitor], proxies: dict[str, Door], node_door: Door
) -> None:
    """Over every route of the running Odoo, no body, cookie or ETag of one visitor reaches another, by any proxy"""
    ledger = Ledger(visitors, node_door.url)
    alice = visitors[0]

    def visit(job: tuple[str, str]) -> None:
        url, path = job
        for visitor in visitors:
            ledger.enter(visitor, path, Door(url, session_id=visitor.session_id).get(path))

    urls = [door.url for door in proxies.values()]
    plain = [path_of(rule, alice) for rule in routes if "logout" not in rule]
    disguised = [path + disguise for path in plain for disguise in DISGUISES]
    jobs = [*product(urls, plain), *zip(cycle(urls), disguised, strict=False)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, jobs))
    last = list(product(urls, (path_of(rule, alice) for rule in routes if "logout" in rule)))
    for job in last:
        visit(job)
    assert not ledger.problems, "\n".join(ledger.problems)
    assert ledger.visits == len(visitors) * len([*jobs, *last])
