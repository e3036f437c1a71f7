#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_server_info
short_description: Asks a PostgreSQL server what it is
description:
  - Tells the role, timeline, position and replication of one cluster of Debian's PostgreSQL tools.
  - Asks the running server over its local socket, and the control file where the server is stopped.
  - Works before PostgreSQL is installed and never changes anything.
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  version:
    description: Major version, as in C(/etc/postgresql/VERSION); the newest that is configured when omitted.
    type: str
  default_version:
    description: Major version to tell about where O(version) is omitted and none is configured.
    type: str
  cluster:
    description: Name of the cluster, as in C(/etc/postgresql/VERSION/CLUSTER).
    type: str
    default: main
  following_within:
    description: Seconds to wait until the server streams as a standby; the answer comes then, or after them.
    type: int
    default: 0
  settings:
    description: Settings of C(postgresql.conf) that are wanted, by name.
    type: dict
    default: {}
extends_documentation_fragment: [odoo_deploy.stack.postgres_machine]
"""

EXAMPLES = r"""
- name: Ask the server what it is
  odoo_deploy.stack.postgres_server_info:
    version: "15"
  register: answer
"""

RETURN = r"""
server:
  description:
    - What the server is. C(server.role) is V(absent) before PostgreSQL is installed, V(empty) without data,
      V(stopped), V(unresponsive) where a postmaster runs and does not answer, else V(primary) or V(standby).
    - Positions are WAL locations as text, C(server.lsn_number) is the same in bytes.
      C(server.following) is true where a standby streams.
    - C(server.pending_restart) maps a setting to its running and its wanted value; C(server.config_stale) means that
      a configuration file is newer than the configuration that was loaded. C(server.floors_awaited) lists settings that
      a standby may not lower yet, since its primary had more in the WAL that it has replayed.
    - C(server.version) is the version that the answer is about. C({version}) in O(files) and O(packages) stands for it.
      C(server.upgrading) is true where a major upgrade was cut off.
    - C(server.patroni) is true where Patroni runs the server; C(server.unit) is the systemd unit of whoever does.
    - C(server.timeline) is the newest that the server has WAL of. C(server.epoch) is the record of the last primary
      that this machine keeps. C(server.rewinding) is true where a rejoin was cut off, C(server.restoring) where a
      restore into the data directory was, so nobody may start the data.
    - C(server.foreign) is true where somebody else made the cluster, C(server.port_taken) where the server does not
      run and something else listens on its port.
    - C(server.files) maps each of O(files) to C(MODE OWNER GROUP SHA1), or to null where it is missing.
      C(server.missing_packages) lists those of O(packages) that are not installed.
    - C(server.replaced_files) lists programs and libraries that the running server still has of packages
      that were upgraded. C(server.checksum_failures) counts the reads of corrupt pages.
      C(server.certificate_served) says, where O(certificate) is given and the server runs, whether clients see it.
    - C(server.refused_settings) has PostgreSQL's word on each of O(settings) that it does not take.
  returned: always
  type: dict
  sample:
    role: standby
    timeline: 2
    lsn: 0/5000148
    lsn_number: 83886408
    following: true
    pending_restart: {}
    config_stale: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import (
    Server,
    fingerprint,
    missing_packages,
    newest_version,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str"},
            "default_version": {"type": "str"},
            "cluster": {"type": "str", "default": "main"},
            "certificate": {"type": "path"},
            "files": {"type": "list", "elements": "path", "default": []},
            "following_within": {"type": "int", "default": 0},
            "packages": {"type": "list", "elements": "str", "default": []},
            "settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    asked = module.params
    try:
        version = asked["version"] or newest_version(asked["cluster"], asked["default_version"] or "0")
        cluster = Server(version, asked["cluster"])
        server = cluster.following_state(asked["following_within"], asked["certificate"])
        server["refused_settings"] = cluster.refused_settings(asked["settings"])
        files, packages = ([one.replace("{version}", version) for one in asked[key]] for key in ("files", "packages"))
        server["files"] = {path: fingerprint(path) for path in files}
        server["missing_packages"] = missing_packages(packages) if packages else []
    except (RuntimeError, OSError, KeyError) as error:
        module.fail_json(msg=f"Cannot tell what this PostgreSQL server is: {error}")
    module.exit_json(changed=False, server=server)


if __name__ == "__main__":
    main()
