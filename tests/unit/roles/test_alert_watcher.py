# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watcher decides, and what it asks and sends, by sockets of this machine."""

from __future__ import annotations

import base64
import importlib.util
import json
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM = Path(__file__).parents[3] / "roles" / "alert_watcher" / "files" / "alert_watcher.py"
NOW = 1_800_000_000.0
BOTH = ("mail", "webhook")


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alert_watcher_program", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def course(program: ModuleType) -> Callable[..., list[tuple[int, str, str]]]:
    """course((seconds from the last look, what is wrong), …): what each receiver is told, at which second."""

    def run(
        *looks: tuple[float, str], receivers: tuple[str, ...] = ("webhook",), deaf: tuple[str, ...] = ()
    ) -> list[tuple[int, str, str]]:
        state, now, told = program.State(), NOW, []
        for later, words in looks:
            now += later
            state = program.after(state, now, words, receivers)
            for receiver in receivers:
                status = program.due(state, words, receiver)
                if not status or receiver in deaf:
                    continue
                told.append((int(now - NOW), receiver, status))
                if status == "firing":
                    state.told[receiver] = now
                else:
                    del state.told[receiver]
            state = program.settled(state, words)
        return told

    return run


def every_half_minute(seconds: int, words: str) -> list[tuple[float, str]]:
    return [(30, words)] * (seconds // 30)


Course = Callable[..., list[tuple[int, str, str]]]


def test_a_silence_is_told_after_two_minutes_each_hour_and_when_it_is_over(course: Course) -> None:
    told = course((0, ""), *every_half_minute(7500, "away"), (30, ""), *every_half_minute(600, ""))
    assert told == [
        (120, "webhook", "firing"), (3720, "webhook", "firing"), (7320, "webhook", "firing"),
        (7530, "webhook", "resolved"),
    ]  # fmt: skip


def test_a_short_silence_is_not_told(course: Course) -> None:
    """Such as a Prometheus that is started anew; and one silence is not added to the next."""
    short = [*every_half_minute(90, "away"), (30, "")]
    assert course((0, ""), *short, *short, *short) == []


def test_each_silence_is_told(course: Course) -> None:
    once = [*every_half_minute(120, "away"), (30, "")]
    assert [told[2] for told in course((0, ""), *once, *once)] == ["firing", "resolved"] * 2


def test_the_first_look_has_its_grace(course: Course) -> None:
    """A watcher that begins beside a Prometheus that is not there yet."""
    assert course((0, "away"), *every_half_minute(90, "away")) == []
    assert course((0, "away"), *every_half_minute(120, "away")) == [(120, "webhook", "firing")]


def test_a_machine_that_was_off_knows_nothing_of_that_time(course: Course) -> None:
    assert course((0, ""), (30, "away"), (9000, "away"), *every_half_minute(90, "away")) == []
    assert course((0, ""), (30, "away"), (9000, "away"), *every_half_minute(120, "away")) == [
        (9150, "webhook", "firing")
    ]


def test_what_was_told_is_not_forgotten_by_a_machine_that_was_off(course: Course) -> None:
    begun = [(0, ""), *every_half_minute(120, "away")]
    assert course(*begun, (600, "away"), (30, "away"))[1:] == []
    assert course(*begun, (600, ""))[1:] == [(720, "webhook", "resolved")]


def test_a_clock_that_is_set_back_delays_nothing(course: Course) -> None:
    begun = [(0.0, ""), *every_half_minute(120, "away")]
    assert course(*begun, (-7200, "away"), (30, "away"))[1:] == [(-7080, "webhook", "firing")]


def test_a_receiver_that_was_not_reached_is_told_later(program: ModuleType) -> None:
    """And nobody hears of the end of what he was not told of."""
    state = program.State(looked=NOW, began=NOW - 300, words="away", told={"webhook": NOW - 60})
    assert program.due(state, "away", "webhook") == ""
    assert program.due(state, "away", "mail") == "firing"
    assert program.due(state, "", "webhook") == "resolved"
    assert program.due(state, "", "mail") == ""


def test_a_receiver_that_is_not_named_any_more_is_forgotten(program: ModuleType) -> None:
    state = program.State(looked=NOW - 30, began=NOW - 300, words="away", told={"mail": NOW - 60})
    assert program.after(state, NOW, "", ("webhook",)) == program.State(looked=NOW)


class Told:
    """A server of this machine, and what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[tuple[dict[str, str], Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.missing: set[str] = set()  # questions without a result
        self.status = 200


@pytest.fixture
def http() -> Iterator[Told]:
    """Prometheus below /api, a webhook elsewhere."""
    said = Told()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: Any = None) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", said.url + "/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def do_GET(self) -> None:
            (question,) = parse_qs(urlsplit(self.path).query).get("query", [""])
            said.asked.append((question, self.headers.get("Authorization", "")))
            status = 200 if self.path == "/elsewhere" else said.status
            self.answer(status, {"data": {"result": [] if question in said.missing else [{"value": [0, "1"]}]}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if said.status == 200:
                said.taken.append((dict(self.headers), body))
            self.answer(said.status)

        def log_message(self, *_unused: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    said.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield said
    server.shutdown()
    server.server_close()


def settings(url: str, **receivers: Any) -> dict[str, Any]:
    return {
        "machine": "nginx1", "deployment": "odoo", "runbook": "docs/monitoring.md", "urls": [url],
        "user": "watcher", "password": "secret", "receivers": receivers,
    }  # fmt: skip


def test_prometheus_is_asked_with_its_login(program: ModuleType, http: Told) -> None:
    assert program.wrong(settings(http.url)) == ""
    login = "Basic " + base64.b64encode(b"watcher:secret").decode()
    assert http.asked == [(question, login) for question, _fault in program.QUESTIONS]
    assert program.wrong(settings(http.url) | {"password": ""}) == ""
    assert http.asked[-1][1] == ""


def test_each_question_has_its_fault(program: ModuleType, http: Told) -> None:
    for question, fault in program.QUESTIONS:
        http.missing = {question}
        assert program.wrong(settings(http.url)) == fault


def test_any_node_may_answer(program: ModuleType, http: Told) -> None:
    """A login that is refused, and an answer that is none, are silence."""
    nobody = "http://127.0.0.1:9"
    assert program.wrong(settings(http.url) | {"urls": [nobody, http.url]}) == ""
    assert "does not answer at http://127.0.0.1:9 (" in program.wrong(settings(nobody))
    http.status = 401
    assert "HTTP Error 401" in program.wrong(settings(http.url))
    assert "does not answer" in program.wrong(settings(http.url + "/elsewhere?"))


def test_a_webhook_gets_what_alertmanager_would_send(program: ModuleType, http: Told, tmp_path: Path) -> None:
    """Once when it begins, once when it is over; in between the file remembers."""
    state, hook = tmp_path / "state.json", {"url": http.url + "/hook"}
    away = settings("http://127.0.0.1:9", webhook=hook)
    for second in range(0, 300, 30):
        assert program.look(away, state, NOW + second) == []
    ((headers, sent),) = http.taken
    assert headers["Content-Type"] == "application/json"
    assert (sent["version"], sent["status"], sent["receiver"], sent["truncatedAlerts"]) == ("4", "firing", "people", 0)
    assert sent["groupLabels"] == {"deployment": "odoo", "instance": "nginx1", "part": "meta"}
    (alert,) = sent["alerts"]
    assert sent["commonLabels"] == alert["labels"]
    assert alert["labels"] == sent["groupLabels"] | {"alertname": "MonitoringSilent", "severity": "page"}
    assert alert["annotations"]["summary"].startswith(
        "No alert would arrive, as nginx1 sees it: Prometheus does not answer"
    )
    assert alert["annotations"]["runbook"] == "docs/monitoring.md#the-watcher"
    assert alert["annotations"]["next"] == "./run.py status"
    assert (alert["startsAt"], alert["endsAt"]) == ("2027-01-15T08:00:00Z", "0001-01-01T00:00:00Z")
    assert program.look(settings(http.url, webhook=hook), state, NOW + 300) == []
    assert program.look(settings(http.url, webhook=hook), state, NOW + 330) == []
    _begun, (_headers, over) = http.taken
    assert (over["status"], over["alerts"][0]["endsAt"]) == ("resolved", "2027-01-15T08:05:00Z")
    assert over["alerts"][0]["startsAt"] == alert["startsAt"]
    assert over["alerts"][0]["fingerprint"] == alert["fingerprint"]
    assert over["alerts"][0]["annotations"] == alert["annotations"]


@pytest.mark.parametrize("status", [500, 302])
def test_a_webhook_that_does_not_take_it_is_told_again(
    program: ModuleType, http: Told, tmp_path: Path, status: int
) -> None:
    """An address that sends a POST elsewhere has not taken it."""
    state, away = tmp_path / "state.json", settings("http://127.0.0.1:9", webhook={"url": http.url + "/hook"})
    http.status = status
    failures = [program.look(away, state, NOW + second) for second in (0, 60, 120)]
    assert failures[:2] == [[], []]
    assert failures[2][0].startswith("webhook was not told: ") and http.url not in failures[2][0]
    http.status = 200
    assert program.look(away, state, NOW + 150) == []
    assert len(http.taken) == 1


def test_who_does_not_want_the_end_is_not_told(program: ModuleType, http: Told, tmp_path: Path) -> None:
    state, hook = tmp_path / "state.json", {"url": http.url, "send_resolved": False}
    for second in (0, 60, 120):
        program.look(settings("http://127.0.0.1:9", webhook=hook), state, NOW + second)
    for second in (180, 240):
        program.look(settings(http.url, webhook=hook), state, NOW + second)
    assert [sent["status"] for _headers, sent in http.taken] == ["firing"]
    assert program.remembered(state) == program.State(looked=NOW + 240)


@pytest.mark.parametrize(
    ("http_config", "header"),
    [
        ({"basic_auth": {"username": "a", "password": "b"}}, "Basic " + base64.b64encode(b"a:b").decode()),
        ({"authorization": {"credentials": "t"}}, "Bearer t"),
        ({"authorization": {"type": "Token", "credentials": "t"}}, "Token t"),
    ],
)
def test_a_webhook_may_want_a_login(program: ModuleType, http: Told, http_config: Any, header: str) -> None:
    told = program.alert(settings(http.url), program.State(looked=NOW, began=NOW), "firing")
    program.tell_webhook({"url": http.url, "http_config": http_config}, told)
    assert http.taken[0][0]["Authorization"] == header


@pytest.mark.parametrize("broken", [{"authorization": {}}, {"basic_auth": {"password": "p"}}])
def test_a_receiver_that_cannot_be_told_does_not_keep_others_from_it(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    """Nor is what others were told forgotten: they would hear of it each half minute."""
    sent: list[str] = []
    monkeypatch.setitem(program.TELL, "mail", lambda _receiver, told: sent.append(told["status"]))
    receivers = {"mail": {}, "webhook": {"url": "http://127.0.0.1:9", "http_config": broken}}
    for second in range(0, 241, 30):
        program.look(settings("http://127.0.0.1:9", **receivers), tmp_path / "state.json", NOW + second)
    assert sent == ["firing"]


@pytest.mark.parametrize(
    "hook",
    [
        {"url": "http://127.0.0.1:9", "http_config": {"authorization": {"credentials": "hidden\n"}}},
        {"url": "http://127.0.0.1:9/hidden\n"},
    ],
)
def test_a_secret_that_cannot_be_sent_is_not_told(program: ModuleType, tmp_path: Path, hook: Any) -> None:
    """The journal has no secret, and Python's words about a line too much do."""
    for second in (0, 60, 120):
        failures = program.look(settings("http://127.0.0.1:9", webhook=hook), tmp_path / "state.json", NOW + second)
    assert len(failures) == 1 and "hidden" not in failures[0], failures


def test_a_file_that_is_not_whole_is_none(program: ModuleType, tmp_path: Path) -> None:
    for text in ("", '{"looked": 1', "[]", '{"other": 1}'):
        (tmp_path / "state.json").write_text(text)
        assert program.remembered(tmp_path / "state.json") == program.State()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A server's certificate and key in one file, and the authority that vouches for it: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = tmp_path_factory.mktemp("smtp") / "both.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain) + pem,
    )
    return file, pem.decode()


class Mailbox:
    """A mail server: what it was told, line by line, and the messages."""

    def __init__(self, certificate: Path, offers_tls: bool = True) -> None:
        self.lines: list[str] = []
        self.messages: list[bytes] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, *lines: str) -> None:
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
                self.wfile.flush()

            def handle(self) -> None:
                self.say("220 here")
                while line := self.rfile.readline().decode().strip():
                    box.lines.append(line)
                    word = line.split()[0].upper()
                    if word == "EHLO":
                        self.say("250-here", *(["250-STARTTLS"] if offers_tls else []), "250 AUTH PLAIN")
                    elif word == "STARTTLS":
                        self.say("220 go")
                        self.connection = context.wrap_socket(self.request, server_side=True)
                        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                    elif word == "AUTH":
                        self.say("235 welcome")
                    elif word == "DATA":
                        self.say("354 go")
                        text = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            text += part
                        box.messages.append(text)
                        self.say("250 taken")
                    else:
                        self.say("221 bye" if word == "QUIT" else "250 well")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def mail(port: int, **keys: Any) -> dict[str, Any]:
    return {
        "to": "ops@example.com, boss@example.com",
        "from": "odoo@example.com",
        "smarthost": f"localhost:{port}",
        **keys,
    }


def test_mail_goes_encrypted_with_a_login(program: ModuleType, certificate: tuple[Path, str]) -> None:
    file, authority = certificate
    state = program.State(looked=NOW + 300, began=NOW, words="away")
    with Mailbox(file) as box:
        login = {"auth_username": "odoo", "auth_password": "p", "tls_config": {"ca": authority}, "hello": "proxy.test"}
        program.tell_mail(mail(box.port, **login), program.alert(settings("http://192.0.2.1"), state, "resolved"))
    login_line = "AUTH PLAIN " + base64.b64encode(b"\0odoo\0p").decode()
    assert box.lines[:4] == ["ehlo proxy.test", "STARTTLS", "ehlo proxy.test", login_line]
    assert [line for line in box.lines if line.lower().startswith("rcpt")] == [
        "rcpt TO:<ops@example.com>", "rcpt TO:<boss@example.com>",
    ]  # fmt: skip
    message = message_from_bytes(box.messages[0])
    assert message["Subject"] == "[RESOLVED] MonitoringSilent odoo nginx1"
    assert message["To"] == "ops@example.com, boss@example.com"
    assert message["From"] == "odoo@example.com"
    text = str(message.get_payload())
    assert "summary: No alert would arrive, as nginx1 sees it: away" in text
    assert "next: ./run.py status" in text
    assert "began: 2027-01-15T08:00:00Z" in text and "ended: 2027-01-15T08:05:00Z" in text


def test_mail_is_not_sent_in_the_clear(program: ModuleType, certificate: tuple[Path, str], tmp_path: Path) -> None:
    """Unless a person says so; nor to a server that nobody vouches for, unless a person says so."""
    state = tmp_path / "state.json"
    told = program.alert(settings("http://192.0.2.1"), program.State(looked=NOW, began=NOW, words="away"), "firing")
    with Mailbox(certificate[0], offers_tls=False) as box:
        away = settings("http://127.0.0.1:9", mail=mail(box.port))
        assert [len(program.look(away, state, NOW + second)) for second in (0, 60, 120)] == [0, 0, 1]
        assert box.messages == []
        program.tell_mail(mail(box.port, require_tls=False), told)
        assert len(box.messages) == 1
    with Mailbox(certificate[0]) as box:
        with pytest.raises(OSError, match="certificate verify failed"):
            program.tell_mail(mail(box.port), told)
        program.tell_mail(mail(box.port, tls_config={"insecure_skip_verify": True}), told)
        assert len(box.messages) == 1
