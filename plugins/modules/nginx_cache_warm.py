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
    the fonts and pictures that the stylesheets name (WOFF and bitmaps; the rest is for browsers of the past, or
    for later pages), and asks for each of them in every encoding, so that the next browser finds them stored.
  - With O(login) it logs in too, so that the bundles of the web client are among them. The session is logged out again.
attributes:
  check_mode:
    description: It only asks, so there is nothing to leave out; the task is skipped.
    support: none
options:
  urls:
    description: The proxy, C(http[s]://ADDRESS[:PORT]), by each scheme that it serves. Pages are read by the first one.
    type: list
    elements: str
    required: true
    aliases: [url]
  names:
    description: >-
      Host headers to send; entries of the cache belong to one name and scheme. Pages are read under the first one.
      The default is the address in O(urls).
    type: list
    elements: str
    aliases: [name]
  pages:
    description:
      - Paths of pages to read before logging in. Redirects within the site are followed.
      - The default's arguments keep Odoo's modules for single sign-on from sending everybody elsewhere.
    type: list
    elements: str
    default: ["/web/login?no_autologin=1&disable_autoredirect=1"]
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
    urls: [http://192.0.2.31]
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
from functools import cached_property

from ansible.module_utils.basic import AnsibleModule

REFERENCE = re.compile(r"""(?:src|href)\s*=\s*["']([^"'#]+)""")
STYLE_REFERENCE = re.compile(r"""url\(\s*["']?([^"')#]+)""")
LOGIN_PAGE = "/web/login?no_autologin=1&disable_autoredirect=1"
# Files that are compressed in themselves: stored in one form, whatever a browser accepts.
COMPRESSED = (".gif", ".ico", ".jpeg", ".jpg", ".png", ".webp", ".woff", ".woff2")
TOKEN = re.compile(r"""name=["']csrf_token["']\s+value=["']([^"']+)|csrf_token:\s*["']([^"']+)""")


class WarmError(Exception):
    """A reason the cache was not warmed, in words for the person who runs the play."""


def references(text: str, patterns: list[str], sheet: str = "") -> set[str]:
    """Return the paths, with their arguments, that ``text`` names and one of ``patterns`` matches.

    ``text`` is a page, or the stylesheet whose path ``sheet`` is. Only paths on the same site count:
    ``https://elsewhere/x.js`` and ``//elsewhere/x.js`` do not.
    """
    if sheet:
        named = {urllib.parse.urljoin(sheet, match) for match in STYLE_REFERENCE.findall(text)}
    else:
        named = {html.unescape(match) for match in REFERENCE.findall(text)}
    found = set()
    for reference in named:
        parts = urllib.parse.urlsplit(reference)
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
    """As much of a browser as Odoo's pages need: one host, one connection, cookies, no redirects followed.

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

    @cached_property
    def connection(self) -> http.client.HTTPConnection:
        """Opened by its first request, and again where the proxy closed it after an answer."""
        host, port = self.url.hostname or "", self.url.port
        if self.context:
            return http.client.HTTPSConnection(host, port or 443, timeout=self.timeout, context=self.context)
        return http.client.HTTPConnection(host, port or 80, timeout=self.timeout)

    def ask(
        self, path: str, encoding: str = "identity", form: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Return status, headers and body of ``path``; raise WarmError where the proxy does not answer."""
        headers = {"Host": self.name, "Accept-Encoding": encoding}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self.connection.request(method if form is None else "POST", path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self.connection.close()
            raise WarmError(f"{self.url.geturl()}{path}: {problem}") from problem
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            key, _sign, value = cookie.split(";")[0].partition("=")
            self.cookies[key.strip()] = value.strip()
        return answer.status, answer.headers, content

    def page(self, path: str) -> str:
        """Return the text of page ``path``, or of where it redirects to on this site; raise WarmError unless 200."""
        status, headers, body = self.ask(path)
        for _unused in range(3):
            target = urllib.parse.urlsplit(headers.get("Location") or "")
            if status not in (301, 302, 303, 307, 308) or target.netloc not in ("", self.name):
                break
            status, headers, body = self.ask(urllib.parse.urlunsplit(("", "", target.path, target.query, "")))
        if status != 200:
            raise WarmError(f"{self.url.geturl()}{path} answers {status} instead of 200")
        return body.decode("utf-8", "replace")

    def log_in(self, login: str, password: str) -> None:
        """Log in with Odoo's form; raise WarmError where Odoo refuses."""
        form = {"csrf_token": csrf_token(self.page(LOGIN_PAGE)), "login": login, "password": password}
        status, _headers, _body = self.ask("/web/login", form=form)
        if status not in (302, 303):
            raise WarmError(f"Odoo does not let {login} log in (it answers {status})")


def collect(module: AnsibleModule, browser: Browser) -> tuple[list[str], list[str]]:
    """Return the paths of all files that the pages name, and of those that only their stylesheets name, sorted."""
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
    drawn: set[str] = set()
    for sheet in files:
        if urllib.parse.urlsplit(sheet).path.endswith(".css"):
            drawn |= references(browser.page(sheet), patterns, sheet)
    return sorted(files), sorted(
        file for file in drawn - files if urllib.parse.urlsplit(file).path.endswith(COMPRESSED)
    )


def fetch(browser: Browser, files: list[str], encodings: list[str], *, missing: bool = False) -> int:
    """Ask for all files in all encodings; return how many answers came from Odoo.

    A stylesheet may name a font that was never there (``missing``); what a page names has to be there.
    """
    fetched = 0
    for path in files:
        once = urllib.parse.urlsplit(path).path.endswith(COMPRESSED)
        for encoding in encodings[:1] if once else encodings:
            # To a HEAD too the proxy fetches and stores the whole file.
            status, headers, _body = browser.ask(path, encoding, method="HEAD")
            if status != 200 and not (missing and status == 404):
                raise WarmError(f"{browser.url.geturl()}{path}, which a page names, answers {status} instead of 200")
            fetched += status == 200 and headers.get("X-Cache-Status") in ("MISS", "EXPIRED")
    return fetched


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "list", "elements": "str", "required": True, "aliases": ["url"]},
            "names": {"type": "list", "elements": "str", "aliases": ["name"]},
            "pages": {"type": "list", "elements": "str", "default": [LOGIN_PAGE]},
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
    context = ssl.create_default_context()
    if not module.params["validate_certs"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    browsers = []
    for text in module.params["urls"]:
        url = urllib.parse.urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname:
            module.fail_json(msg=f"urls: {text!r} is not of the form http[s]://ADDRESS[:PORT]")
        for name in module.params["names"] or [url.netloc]:
            browsers.append(Browser(url, name, context if url.scheme == "https" else None, module.params["timeout"]))
    if not browsers:
        module.fail_json(msg="urls: at least one is needed")
    try:
        files, drawn = collect(module, browsers[0])
        fetched = 0
        for browser in browsers:
            fetched += fetch(browser, files, module.params["encodings"])
            fetched += fetch(browser, drawn, module.params["encodings"], missing=True)
    except WarmError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=fetched > 0, files=files + drawn, fetched=fetched)


if __name__ == "__main__":
    main()
