# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's files say of its repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.modules import postgres_backup_info as info

PLAIN = {"repo1-path": "/var/lib/pgbackrest", "process-max": "2"}
ENCRYPTED = PLAIN | {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "first"}


def test_options_of_global_sections_are_read() -> None:
    """Other sections and comments do not count."""
    texts = ["# made\n[global]\nrepo1-path=/a\nx = 1\n[main]\npg1-path=/b\n", "[global]\nrepo1-cipher-pass=p=q\n#y=2\n"]
    assert info.global_options(texts) == {"repo1-path": "/a", "x": "1", "repo1-cipher-pass": "p=q"}


@pytest.mark.parametrize(
    ("configured", "passphrase", "change"),
    [
        ({}, "first", ""),
        (PLAIN, "", ""),
        (PLAIN, "first", "turned_on"),
        (ENCRYPTED, "first", ""),
        (ENCRYPTED, "", "turned_off"),
        (ENCRYPTED, "second", "other_passphrase"),
        (PLAIN | {"repo1-path": "/other"}, "first", ""),
        (PLAIN | {"repo1-type": "s3"}, "first", ""),
    ],
)
def test_the_change_of_an_encryption(configured: dict[str, str], passphrase: str, change: str) -> None:
    """Only of the repository that is there: another one may be encrypted otherwise."""
    wanted = {"repo1-path": "/var/lib/pgbackrest", "process-max": 4}
    assert info.cipher_change(configured, wanted, passphrase) == change


SYSTEMD = """#!/bin/sh
[ "$1 $2" = "calendar --" ] && case $3 in daily | "Sun *-*-* 01:00") exit 0 ;; esac
[ "$1 $2" = "timespan --" ] && [ "$3" = 30min ] && exit 0
echo "Failed to parse" >&2
exit 1
"""


def test_times_that_systemd_does_not_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, with the variable, its value, and what is allowed."""
    program = tmp_path / "systemd-analyze"
    program.write_text(SYSTEMD)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    good = {"calendars": {"full": "Sun *-*-* 01:00", "drill": "daily"}, "timespans": {"jitter": "30min"}}
    assert info.unread_times(good) == []
    wrong = {"calendars": {"full": "daily", "diff": "Sun..Fri *-*-* 02:00"}, "timespans": {"jitter": "soon"}}
    diff, jitter = info.unread_times(wrong)
    assert diff.startswith("diff is Sun..Fri *-*-* 02:00: allowed is a time as systemd's OnCalendar has it")
    assert jitter.startswith("jitter is soon: allowed is a span of time")


PGBACKREST = """#!/bin/sh
for word in "$@"; do case $word in --config=*) config=${word#--config=} ;; esac; done
echo "$*" >> $(dirname "$0")/asked
while read -r line; do case $line in
  "[global]" | delta=y | repo1-path=y) ;;
  type=y) echo "WARN: configuration file contains command-line only option 'type'" ;;
  pg1-path=y) echo "WARN: configuration file contains stanza-only option 'pg1-path' in global section 'global'" >&2 ;;
  repo300-path=y) echo "ERROR: [031]: option 'repo300-path' key exceeds maximum of 256" >&2; exit 31 ;;
  *) echo "WARN: configuration file contains invalid option '${line%=y}'" ;;
esac; done < $config
echo "ERROR: [032]: '0' is not allowed for 'buffer-size' option" >&2
exit 32
"""


def test_options_that_pgbackrest_does_not_take_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, by a command that ends before it does anything; nobody is asked where it is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert info.unknown_options(["delta"]) is None
    program = tmp_path / "pgbackrest"
    program.write_text(PGBACKREST)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    wrong = ["type", "delt", "pg1-path", "odd\nrepo1-path", "repo300-path"]
    assert info.unknown_options(["delta", *wrong, "repo1-path"]) == wrong
    assert info.unknown_options(["delta", "repo1-path"]) == []
    assert info.unknown_options([]) == []
    assert all("--buffer-size=0" in asked for asked in (tmp_path / "asked").read_text().splitlines())
