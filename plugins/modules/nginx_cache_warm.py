#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a proxy for the files that Odoo's first pages name, so that no browser is the first to ask."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_cache_warm
short_description: Fill a proxy's cache with the files that Odoo's first pages name
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Reads pages of Odoo through the proxy like a browser, collects the stylesheets, scripts and pictures they name, and
    asks for each of them in every encoding, so that the next browser finds them stored.
  - With O(login) it logs in too, so that the bundles of the web client are among them. The session is logged out again.
attributes:
  check_mode:
    description: It only asks, so there is nothing to leave out; the task is skipped.
    support: none
options:
  url:
    description: The proxy, C(http[s]://ADDRESS[:PORT]).
    type: str
    required: true
  name:
    description: Host header to send; entries of the cache belong to one name. The default is the address in O(url).
    type: str
  pages:
    description: Paths of pages to read before logging in.
    type: list
    elements: str
    default: [/web/login]
  user_pages:
    description: Paths of pages to read after logging in.
    type: list
    elements: str
    default: [/web]
  patterns:
    description: Regular expressions of the paths that are worth asking for, each matched against the whole path.
    type: list
    elements: str
    required: true
  encodings:
    description: Accept-Encoding headers to send, one after the other.
    type: list
    elements: str
    default: ["br, gzip", gzip, identity]
  login:
    description: User to log in as. Without it only public pages are read.
    type: str
  password:
    description: The user's password.
    type: str
  validate_certs:
    description: Whether to check the proxy's certificate.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for one answer. The first request for a bundle makes Odoo build it.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Warm the cache
  odoo_deploy.stack.nginx_cache_warm:
    url: http://192.0.2.31
    patterns: ["/[a-z0-9_]+/static/.+", "/web/assets/.+[.](js|css)"]
"""

RETURN = r"""
files:
  description: Paths that were asked for.
  returned: always
  type: list
  elements: str
fetched:
  description: Number of answers that were not in the cache before.
  returned: always
  type: int
"""

import html
import http.client
import re
import ssl
import urllib.parse
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule

REFERENCE = re.compile(r"""(?:src|href)\s*=\s*["']([^"'#]+)""")
TOKEN = re.compile(r"""name=["']csrf_token["']\s+value=["']([^"']+)|csrf_token:\s*["']([^"']+)""")


class WarmError(Exception):
    """A reason the cache was not warmed, in words for the person who runs the play."""


def references(page: str, patterns: list[str]) -> set[str]:
    """Return the paths, with their arguments, that ``page`` names and one of ``patterns`` matches.

    Only paths on the same site count: ``https://elsewhere/x.js`` and ``//elsewhere/x.js`` do not.
    """
    found = set()
    for match in REFERENCE.finditer(page):
        parts = urllib.parse.urlsplit(html.unescape(match.group(1)))
        if not parts.netloc and not parts.scheme and any(re.fullmatch(pattern, parts.path) for pattern in patterns):
            found.add(urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")))
    return found


def csrf_token(page: str) -> str:
    """Return the token of the login form in ``page``; raise WarmError where there is none."""
    match = TOKEN.search(page)
    if not match:
        raise WarmError("the login page holds no csrf_token; is this Odoo's login page?")
    return html.unescape(match.group(1) or match.group(2))


@dataclass
class Browser:
    """As much of a browser as Odoo's pages need: one host, cookies, no redirects followed.

    Attributes:
        url: the proxy, parsed.
        name: Host header.
        context: how to check certificates, None for plain HTTP.
        timeout: seconds for one answer.
    """

    url: urllib.parse.SplitResult
    name: str
    context: ssl.SSLContext | None
    timeout: int
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, path: str, encoding: str = "identity", form: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Return status, headers and body of ``path``; raise WarmError where the proxy does not answer."""
        host, port = self.url.hostname or "", self.url.port
        connection: http.client.HTTPConnection
        if self.context:
            connection = http.client.HTTPSConnection(host, port or 443, timeout=self.timeout, context=self.context)
        else:
            connection = http.client.HTTPConnection(host, port or 80, timeout=self.timeout)
        headers = {"Host": self.name, "Accept-Encoding": encoding}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request("GET" if form is None else "POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            raise WarmError(f"{self.url.geturl()}{path}: {problem}") from problem
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            key, _sign, value = cookie.split(";")[0].partition("=")
            self.cookies[key.strip()] = value.strip()
        return answer.status, answer.headers, content

    def page(self, path: str) -> str:
        """Return the text of page ``path``; raise WarmError where it is not 200."""
        status, _headers, body = self.ask(path)
        if status != 200:
            raise WarmError(f"{self.url.geturl()}{path} answers {status} instead of 200")
        return body.decode("utf-8", "replace")

    def log_in(self, login: str, password: str) -> None:
        """Log in with Odoo's form; raise WarmError where Odoo refuses."""
        form = {"csrf_token": csrf_token(self.page("/web/login")), "login": login, "password": password}
        status, _headers, _body = self.ask("/web/login", form=form)
        if status not in (302, 303):
            raise WarmError(f"Odoo does not let {login} log in (it answers {status})")


def warm(module: AnsibleModule, browser: Browser) -> tuple[list[str], int]:
    """Ask for all files; return their paths and how many answers came from Odoo."""
    patterns: list[str] = module.params["patterns"]
    files: set[str] = set()
    for page in module.params["pages"]:
        files |= references(browser.page(page), patterns)
    if module.params["login"]:
        browser.log_in(module.params["login"], module.params["password"] or "")
        for page in module.params["user_pages"]:
            files |= references(browser.page(page), patterns)
        browser.ask("/web/session/logout")
    browser.cookies.clear()
    fetched = 0
    for path in sorted(files):
        for encoding in module.params["encodings"]:
            status, headers, _body = browser.ask(path, encoding)
            if status != 200:
                raise WarmError(f"{browser.url.geturl()}{path}, which a page names, answers {status} instead of 200")
            fetched += headers.get("X-Cache-Status") in ("MISS", "EXPIRED")
    return sorted(files), fetched


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "name": {"type": "str"},
            "pages": {"type": "list", "elements": "str", "default": ["/web/login"]},
            "user_pages": {"type": "list", "elements": "str", "default": ["/web"]},
            "patterns": {"type": "list", "elements": "str", "required": True},
            "encodings": {"type": "list", "elements": "str", "default": ["br, gzip", "gzip", "identity"]},
            "login": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 120},
        },
        required_by={"login": ["password"]},
    )
    url = urllib.parse.urlsplit(module.params["url"])
    if url.scheme not in ("http", "https") or not url.hostname:
        module.fail_json(msg=f"url: {module.params['url']!r} is not of the form http[s]://ADDRESS[:PORT]")
    context = ssl.create_default_context() if url.scheme == "https" else None
    if context and not module.params["validate_certs"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        browser = Browser(url, module.params["name"] or url.netloc, context, module.params["timeout"])
        files, fetched = warm(module, browser)
    except WarmError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=fetched > 0, files=files, fetched=fetched)


if __name__ == "__main__":
    main()
