# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-wide addon for Odoo 14 to 19: what a replica in Kubernetes needs of the process itself.

* ``/livez``: 200 unless this process' registry is broken, which only a restart mends (500).
* ``/readyz``: 200 when the database answers and, on the HTTP port, the registry is loaded; on the second port no worker
  is stuck. Else 503 with the reason.
  Both answer before sessions and routing: no session is made, nothing is logged at INFO.
* Logs are JSON lines with the request id that the proxy sent (X-Request-Id), when ODOO_LOG_FORMAT=json.
* The registry's caches are filled before the first worker is forked: a pod's first request is no slower than the next.
* Connections wait for a worker instead of being dropped.
* session_db is loaded, or the process ends.
* The bus listens again a second after it lost its connection (Odoo: 50 s).
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
import time
import types
from pathlib import Path

import odoo
import odoo.http
import odoo.release
import odoo.service.server
import odoo.sql_db
import odoo.tools
import psycopg2
from odoo.modules.registry import Registry

_logger = logging.getLogger(__name__)
_LIVE, _READY = "/livez", "/readyz"
_BACKLOG = 64  # more would only be answered when nobody waits any longer


# --- health ---------------------------------------------------------------------------------------------------------


def _broken(database: str) -> str:
    """Why only a restart helps; empty when nothing is known to be wrong. Never loads a registry."""
    registry = Registry.registries.get(database) if database in Registry.registries else None
    if registry is not None and getattr(registry, "ready", True) and "ir.http" not in registry:
        return "the registry has no models: it was loaded from a database without tables"
    return ""


_last_sample = {"time": 0.0, "cpu": -1}


def _workers_stuck() -> str:
    """Why the HTTP workers beside this process cannot work: stopped, or requests wait while none of them moves.

    Asked in the process of the second port, which is never busy with requests: a pod whose workers are all busy is
    slow, not broken, and must stay in rotation, or the whole Service would fall over with its first overload.
    """
    parent, cpu = os.getppid(), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = stat.parent.name, stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(number) != parent and (int(rest[1]) != parent or int(number) == os.getpid()):
            continue
        if rest[0] in "Tt":
            return f"process {number} is stopped"
        if int(number) != parent:
            cpu += int(rest[11]) + int(rest[12])
    port, waiting = f":{int(odoo.tools.config['http_port']):04X}", 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        field = line.split()
        if field[1].endswith(port) and field[3] == "0A":
            waiting = int(field[4].split(":")[1], 16)
    now = time.monotonic()
    if now - _last_sample["time"] >= 4:
        still = waiting and cpu == _last_sample["cpu"]
        _last_sample.update(time=now, cpu=cpu)
        if still:
            return f"{waiting} requests wait and no worker moves"
    return ""


def _not_ready(database: str) -> str:
    """Why no request should come here now; empty when it may. An HTTP worker loads its registry where none is."""
    try:
        if odoo.evented:
            stuck = _workers_stuck()
            if stuck:
                return stuck
        elif "ir.http" not in Registry(database):
            return "the registry is not loaded"
        with odoo.sql_db.db_connect(database).cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        return f"database away: {str(error).strip().splitlines()[0]}"
    except Exception as error:  # whatever a broken addon raises: the answer is the same
        return f"{type(error).__name__}: {error}"
    return ""


def _health(path: str):
    database = (os.environ.get("ODOO_DATABASE") or "").split(",")[0]
    problem = _broken(database)
    if problem:
        return "500 Internal Server Error", problem
    if path == _READY:
        problem = _not_ready(database)
        if problem:
            return "503 Service Unavailable", problem
    return "200 OK", ""


def _with_health(call):
    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO")
        if path in (_LIVE, _READY):
            status, problem = _health(path)
            body = json.dumps({"status": "fail" if problem else "pass", "output": problem}).encode()
            start_response(
                status,
                [
                    ("Content-Type", "application/health+json"),
                    ("Content-Length", str(len(body))),
                    ("Cache-Control", "no-store"),
                ],
            )
            return [body]
        threading.current_thread().odoo_deploy_request_id = environ.get("HTTP_X_REQUEST_ID")
        return call(self, environ, start_response)

    return __call__


# --- logs -----------------------------------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, database, message, request_id, error."""

    converter = time.gmtime

    def format(self, record):
        thread = threading.current_thread()
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
            "db": getattr(thread, "dbname", None),
            "request_id": getattr(thread, "odoo_deploy_request_id", None),
            "message": record.getMessage(),
        }
        perf = getattr(record, "perf_info", "")
        if perf:
            line["perf"] = perf
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


class HideProbes(logging.Filter):
    """Successful probes are not worth a line each."""

    def filter(self, record):
        message = record.getMessage()
        return not ((_LIVE in message or _READY in message) and '" 200 ' in message)


# --- warm start -----------------------------------------------------------------------------------------------------


def _warm_up() -> None:
    """Renders the login page in this process, which fills its caches and opens its connections."""
    from werkzeug.test import Client
    from werkzeug.wrappers import Response as BaseResponse

    try:
        from odoo.service.wsgi_server import application  # to 15: it sets the environment up
    except ImportError:
        application = odoo.http.root
    started = time.time()
    try:
        response = Client(application, BaseResponse).get("/web/login", headers={"Host": "localhost"})
        _logger.info("warm-up: /web/login %s in %.1f s", response.status_code, time.time() - started)
        # The session was nobody's.
        store = odoo.http.root.session_store
        for part in response.headers.getlist("Set-Cookie"):
            if part.startswith("session_id="):
                store.delete(store.get(part.split(";")[0].split("=", 1)[1]))
    except Exception:
        _logger.warning("warm-up failed, starting cold", exc_info=True)


def _with_warm_up(preload):
    """In the master process: the workers to come inherit its caches, but must not share its connections."""

    def preload_registries(dbnames):
        result = preload(dbnames)
        config = odoo.tools.config
        if dbnames and config["workers"] and config["http_enable"] and not config["stop_after_init"]:
            _warm_up()
            vars(odoo.http.root).pop("session_store", None)
        return result

    return preload_registries


def _with_connections(start):
    """In each worker: its own connections (TLS, log-in, three databases) before its first request."""

    def worker_start(self):
        start(self)
        _warm_up()

    return worker_start


def _with_longer_queue(start):
    """A burst of connections waits for workers and is slow. Odoo lets 8 a worker wait; the kernel drops the rest."""

    def prefork_start(self):
        start(self)
        if self.socket:
            self.socket.listen(_BACKLOG)

    return prefork_start


# --- sessions -------------------------------------------------------------------------------------------------------


def _provide_werkzeug_sessions() -> None:
    """session_db for 14 imports werkzeug.contrib.sessions, gone since Werkzeug 1.0; Odoo carries a copy of it."""
    try:
        import werkzeug.contrib.sessions
    except ImportError:
        import werkzeug

        contrib = types.ModuleType("werkzeug.contrib")
        contrib.sessions = odoo.http.sessions
        werkzeug.contrib = contrib
        sys.modules["werkzeug.contrib"] = contrib
        sys.modules["werkzeug.contrib.sessions"] = odoo.http.sessions


def _load_session_db() -> None:
    """Odoo loads server-wide modules in no order and only logs one that fails.

    Sessions would then stay on each pod's own disk, unnoticed.
    """
    if not os.environ.get("SESSION_DB_URI"):
        return
    if odoo.release.version_info[0] == 14:
        _provide_werkzeug_sessions()
    try:
        importlib.import_module("odoo.addons.session_db")
    except ImportError:
        _logger.critical(
            "module session_db did not load: sessions would not be shared between pods. Is it in the image?",
            exc_info=True,
        )
        os._exit(78)


# --- bus ------------------------------------------------------------------------------------------------------------


def _mend_bus() -> None:
    """Odoo sleeps 50 s after the connection to LISTEN was lost: messages of a whole failover would be late."""
    try:
        from odoo.addons.bus.models import bus
    except ImportError:
        return
    dispatch = bus.ImDispatch

    def run(self):
        while True:
            try:
                self.loop()
            except Exception:
                # Clients that wait ask again and find what came in between.
                _logger.warning("bus: connection lost, listening again in 1 s", exc_info=True)
                time.sleep(1)

    if "run" in vars(dispatch) and odoo.release.version_info[0] < 16:
        dispatch.run = run


# --- loading --------------------------------------------------------------------------------------------------------


def _install() -> None:
    root = type(odoo.http.root)
    root.__call__ = _with_health(root.__call__)
    server = odoo.service.server
    server.preload_registries = _with_warm_up(server.preload_registries)
    server.PreforkServer.start = _with_longer_queue(server.PreforkServer.start)
    server.WorkerHTTP.start = _with_connections(server.WorkerHTTP.start)
    if os.environ.get("ODOO_LOG_FORMAT") == "json":
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setFormatter(JsonFormatter())
    for name in ("werkzeug", "longpolling"):  # who logs requests on the first port, and on the second
        logging.getLogger(name).addFilter(HideProbes())
    _load_session_db()
    _mend_bus()


_install()
