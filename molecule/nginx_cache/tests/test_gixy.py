# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gixy, a static analyser of nginx configurations, says of both rendered trees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

testinfra_hosts = ["plain", "tls"]

GIXY = Path(sys.executable).with_name("gixy")


@pytest.fixture
def dump(host: Any) -> str:
    """The configuration in force with all it includes, as nginx itself reads it."""
    with host.sudo():
        text: str = host.check_output("nginx -T -q -c /etc/nginx/odoo/current/nginx.conf")
    return text


def gixy(dump: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run gixy on ``dump``; its exit status is 0 where it has nothing to say."""
    file = folder / "nginx.conf"
    file.write_text(dump)
    return subprocess.run([str(GIXY), str(file)], check=False, capture_output=True, text=True)


def test_clean(dump: str, tmp_path: Path) -> None:
    """Not one remark of whatever severity."""
    assert "conf.d/servers.conf" in dump
    done = gixy(dump, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_gixy_reads_what_is_included(dump: str, tmp_path: Path) -> None:
    """A hole in an included file is found, so the silence above means something."""
    done = gixy(
        dump.replace("location = /nginx-health {", "location = /nginx-health { return 302 http://$host$uri;", 1),
        tmp_path,
    )
    assert done.returncode == 1
    assert "http_splitting" in done.stdout
