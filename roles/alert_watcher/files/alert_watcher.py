# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells people that Prometheus or Alertmanager is silent: they cannot tell it themselves.

A timer runs it every half minute. It asks Prometheus whether alerts are evaluated and reach people, remembers what it
heard, and sends mail and webhooks of its own: when the silence has lasted for two minutes, each hour, and once when it
is over.

Exit codes: 0 done; 1 a receiver could not be told, the journal says why, and the next run tries again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import smtplib
import ssl
import sys
import time
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SETTINGS = Path("/etc/alert-watcher.json")
PATIENCE = 120  # seconds of silence before somebody is told
AGAIN = 3600  # seconds until it is told again
PATIENT = 5  # seconds for Prometheus to answer
SENDING = 15  # seconds for a receiver to take a message
NEVER = "0001-01-01T00:00:00Z"  # how Alertmanager writes the end of what goes on

# (an expression that has a result where all is well, what is wrong without one)
QUESTIONS = (
    (
        f'time() - timestamp(ALERTS{{alertname="Watchdog", alertstate="firing"}}) < {PATIENCE}',
        "Prometheus answers, but evaluates no alerts",
    ),
    ('up{job="alertmanager"} == 1', "Prometheus does not reach Alertmanager"),
    # A receiver that fails is told by the others (AlertsNotDelivered).
    (
        "absent(sum(increase(alertmanager_notifications_failed_total[10m]))"
        " > 0.9 * sum(increase(alertmanager_notifications_total[10m])))",
        "nothing of what Alertmanager sent for ten minutes was taken",
    ),
)


@dataclass
class State:
    """What a look leaves for the next one. Moments are seconds since 1970."""

    looked: float = 0.0
    began: float | None = None  # when the silence did; kept until all who were told know that it is over
    words: str = ""
    told: dict[str, float] = field(default_factory=dict)  # {receiver: when it was last told}


def after(state: State, now: float, words: str, receivers: Collection[str]) -> State:
    """The state after a look that found this wrong, or nothing; before somebody is told.

    Who did not look for a while, such as a machine that was off, knows nothing of that while: a silence that nobody was
    told of begins anew.
    """
    told = {name: when for name, when in state.told.items() if name in receivers}
    if not words:
        return settled(State(now, state.began, state.words, told), words)
    recently = 0 <= now - state.looked <= PATIENCE
    if state.began is None:
        return State(now, state.looked if recently else now, words, told)
    return State(now, state.began if recently or told else now, words, told)


def due(state: State, words: str, receiver: str) -> str:
    """What a receiver has to be told at the moment of a look: firing, resolved or nothing."""
    told = state.told.get(receiver)
    if not words:
        return "" if told is None else "resolved"
    if told is None:
        return "firing" if state.began is not None and state.looked - state.began >= PATIENCE else ""
    return "" if 0 <= state.looked - told < AGAIN else "firing"


def settled(state: State, words: str) -> State:
    """The state once all were told: a silence that all know to be over is none."""
    return state if words or state.told else State(state.looked)


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def alert(settings: Mapping[str, Any], state: State, status: str) -> dict[str, Any]:
    """One alert, as Alertmanager's webhooks have it."""
    labels = {
        "alertname": "MonitoringSilent",
        "deployment": settings["deployment"],
        "instance": settings["machine"],
        "part": "meta",
        "severity": "page",
    }
    return {
        "status": status,
        "labels": labels,
        "annotations": {
            "next": "./run.py status",
            "runbook": f"{settings['runbook']}#the-watcher",
            "summary": f"No alert would arrive, as {settings['machine']} sees it: {state.words}",
        },
        "startsAt": moment(state.began or state.looked),
        "endsAt": moment(state.looked) if status == "resolved" else NEVER,
        "generatorURL": settings["urls"][0],
        "fingerprint": hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16],
    }


def webhook_body(told: Mapping[str, Any]) -> dict[str, Any]:
    """A message of Alertmanager's webhooks, version 4."""
    group = {name: told["labels"][name] for name in ("deployment", "instance", "part")}
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{value}"' for name, value in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": told["status"],
        "receiver": "people",
        "groupLabels": group,
        "commonLabels": told["labels"],
        "commonAnnotations": told["annotations"],
        "externalURL": told["generatorURL"],
        "alerts": [told],
    }


def mail_message(receiver: Mapping[str, Any], told: Mapping[str, Any]) -> EmailMessage:
    """The same for a person."""
    labels = told["labels"]
    count = ":1" if told["status"] == "firing" else ""
    message = EmailMessage()
    message["Subject"] = (
        f"[{told['status'].upper()}{count}] {labels['alertname']} {labels['deployment']} {labels['instance']}"
    )
    message["From"], message["To"] = receiver["from"], receiver["to"]
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=labels["instance"])
    lines = [*told["annotations"].items(), ("began", told["startsAt"])]
    if told["status"] == "resolved":
        lines.append(("ended", told["endsAt"]))
    message.set_content("".join(f"{name}: {value}\n" for name, value in lines))
    return message


def trust(tls: Mapping[str, Any]) -> ssl.SSLContext:
    """Whom to believe, by a tls_config; without one the authorities that the machine knows."""
    context = ssl.create_default_context(cadata=tls.get("ca"))
    if tls.get("insecure_skip_verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Straight(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a POST that is sent on would become a GET, and look as if it had arrived."""

    def redirect_request(self, *_unused: Any) -> None:
        return None


def fetch(request: urllib.request.Request, seconds: float, context: ssl.SSLContext | None = None) -> bytes:
    """The answer; raises OSError where it is no success."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), Straight()]
    with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as answer:
        body: bytes = answer.read()
    return body


def tell_webhook(receiver: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    http = receiver.get("http_config", {})
    headers = {"Content-Type": "application/json", "User-Agent": "alert-watcher"}
    if "basic_auth" in http:
        headers["Authorization"] = basic(http["basic_auth"]["username"], http["basic_auth"].get("password", ""))
    if "authorization" in http:
        known = http["authorization"]
        headers["Authorization"] = f"{known.get('type', 'Bearer')} {known['credentials']}"
    request = urllib.request.Request(receiver["url"], json.dumps(webhook_body(told)).encode(), headers)
    fetch(request, SENDING, trust(http.get("tls_config", {})))


def tell_mail(receiver: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    host, _colon, port = receiver["smarthost"].rpartition(":")
    context, name = trust(receiver.get("tls_config", {})), receiver.get("hello", "localhost")
    if port == "465":  # TLS from the first byte, as Alertmanager has it
        server: smtplib.SMTP = smtplib.SMTP_SSL(host.strip("[]"), 465, name, timeout=SENDING, context=context)
    else:
        server = smtplib.SMTP(host.strip("[]"), int(port), name, timeout=SENDING)
    with server:
        if port != "465" and receiver.get("require_tls", True):
            server.starttls(context=context)
        if receiver.get("auth_username"):
            server.login(receiver["auth_username"], receiver.get("auth_password", ""))
        server.send_message(mail_message(receiver, told))


TELL = {"mail": tell_mail, "webhook": tell_webhook}


def has_result(url: str, login: tuple[str, str], expression: str) -> bool:
    """Whether Prometheus has a result for an expression; raises where it does not answer as it should."""
    headers = {"Authorization": basic(*login)} if login[1] else {}
    asked = urllib.request.Request(f"{url}/api/v1/query?{urlencode({'query': expression})}", headers=headers)
    return bool(json.loads(fetch(asked, PATIENT))["data"]["result"])


def wrong(settings: Mapping[str, Any]) -> str:
    """Why alerts would not arrive, in words; empty where they would."""
    words = ""
    for url in settings["urls"]:
        try:
            login = settings["user"], settings["password"]
            return next((fault for expression, fault in QUESTIONS if not has_result(url, login, expression)), "")
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as problem:
            words = f"Prometheus does not answer at {url} ({problem})"
    return words


def remembered(path: Path) -> State:
    """The last look's state; a file that is not whole, as after a power cut, is none."""
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return State()


def look(settings: Mapping[str, Any], path: Path, now: float) -> list[str]:
    """Looks once and tells who has to be told; gives what went wrong with that."""
    receivers, words, failures = settings["receivers"], wrong(settings), []
    state = after(remembered(path), now, words, receivers)
    for name, receiver in receivers.items():
        status = due(state, words, name)
        if status == "firing" or (status and receiver.get("send_resolved", True)):
            try:
                TELL[name](receiver, alert(settings, state, status))
            except (OSError, HTTPException, ValueError, LookupError, TypeError) as problem:
                # The words of the others repeat what they could not read, such as a token with a line too much.
                why = (
                    problem
                    if isinstance(problem, OSError)
                    else f"its settings cannot be used ({type(problem).__name__})"
                )
                failures.append(f"{name} was not told: {why}")
                continue
            print(f"told {name}: {status}, {state.words}")
        if status == "firing":
            state.told[name] = now
        elif status:
            del state.told[name]
    path.with_suffix(".new").write_text(json.dumps(asdict(settled(state, words))))
    path.with_suffix(".new").replace(path)
    return failures


def main() -> int:
    settings = json.loads(SETTINGS.read_text())
    failures = look(settings, Path(os.environ["STATE_DIRECTORY"]) / "state.json", time.time())
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
