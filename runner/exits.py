# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends: exit codes and the one exception that carries them."""

from __future__ import annotations

import enum
import threading


class Exit(enum.IntEnum):
    """Exit codes; docs/run.md lists them for people."""

    OK = 0
    STEP_FAILED = 1
    USAGE = 2
    DECLINED = 3
    PREFLIGHT = 4
    LOCKED = 5
    VERIFY_FAILED = 6
    INSTALL_FAILED = 7
    INTERRUPTED = 130  # 128 + SIGINT, as shells say it
    TERMINATED = 143  # 128 + SIGTERM


class Failure(Exception):
    """The end of a run that did not succeed.

    reason: stable upper-case identifier for programs (`--json`), such as SUBNET_TAKEN.
    message: what is wrong and where; advice: what to do next; log: where the details are.
    """

    def __init__(
        self,
        code: Exit,
        reason: str,
        message: str,
        *,
        advice: str | None = None,
        log: str | None = None,
        resume: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.advice = advice
        self.log = log
        self.resume = resume


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; not an Exception, so that no handler swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Stopped(Exception):
    """Something else ended the run: a program that another thread follows stops as by Ctrl-C, or at_once."""

    def __init__(self, at_once: threading.Event) -> None:
        super().__init__()
        self.at_once = at_once
