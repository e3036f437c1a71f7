# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible callback that tells runner/engine.py what a playbook does, as JSON lines on a descriptor."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: odoo_deploy_events
type: notification
short_description: JSON lines for run.py
description: Writes one JSON object a line to the descriptor named by E(ODOO_DEPLOY_EVENTS_FD).
options: {}
"""


class CallbackModule(CallbackBase):
    """kinds: play, task, host, retry, ok, note, failed, item_failed, skipped, stats."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "odoo_deploy_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        descriptor = os.environ.get("ODOO_DEPLOY_EVENTS_FD", "")
        self.disabled = not descriptor.isdecimal()
        self._descriptor = int(descriptor or -1)

    def _tell(self, kind: str, **fields: Any) -> None:
        data = json.dumps({"kind": kind, **fields}, default=str).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _result(self, kind: str, result: Any, **fields: Any) -> None:
        self._tell(kind, host=result._host.get_name(), task=result._task.get_name().strip(), **fields)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._tell("play", play=play.get_name().strip())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._tell("task", task=task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._tell("task", task=task.get_name().strip())

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._tell("host", host=host.get_name())

    def v2_runner_retry(self, result: Any) -> None:
        self._result("retry", result, attempt=result._result.get("attempts", 0))

    def v2_runner_on_ok(self, result: Any) -> None:
        if result._task.action in ("debug", "ansible.builtin.debug") and "msg" in result._result:
            message = result._result["msg"]
            self._result("note", result, lines=message if isinstance(message, list) else str(message).splitlines())
        self._result("ok", result, changed=bool(result._result.get("changed")))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._result("item_failed", result, message=_message(result._result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result("failed", result, message=_message(result._result), ignored=bool(ignore_errors))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("failed", result, message=_message(result._result), ignored=False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._tell("stats", hosts=hosts, custom=stats.custom.get("_run", {}))


def _message(result: Any) -> str:
    """The task's own words, with the last line of a command's complaint."""
    message = str(result.get("msg") or result.get("message") or "failed without a message").strip()
    for stream in ("stderr", "module_stderr", "stdout"):
        lines = str(result.get(stream) or "").strip().splitlines()
        if lines and lines[-1] not in message:
            return f"{message}: {lines[-1].strip()}"
    return message
