# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of postgres_lock: who this run is, and whether the holder, if it ran here, is dead."""

from __future__ import annotations

import getpass
import hashlib
import socket
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import running


class ActionModule(ActionBase):  # type: ignore[misc]
    """Asks once more where the holder is dead."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        command = running.command()
        if not command:  # nobody would know when the lock's holder has ended
            raise AnsibleActionFail("The command was killed; this part of it takes no lock any more.")
        place, process = running.place(), running.process(command)
        args = {
            **self._task.args,
            "run": hashlib.sha256(f"{socket.gethostname()} {place} {command} {process}".encode()).hexdigest()[:8],
            "owner": f"{getpass.getuser()}@{socket.gethostname()}",
            "place": place,
            "process": process,
        }
        if args.get("gone") == "":
            del args["gone"]
        answer = self._execute_module(module_args=args, task_vars=task_vars)
        holder = answer.get("holder") or {}
        if answer.get("granted") is False and running.dead(holder.get("place", ""), holder.get("process", "")):
            answer = self._execute_module(module_args={**args, "gone": holder["run"]}, task_vars=task_vars)
        result.update(answer)
        return result
