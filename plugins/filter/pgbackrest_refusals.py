# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which options a person may not give to pgBackRest, and what to give instead."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pgbackrest_refusals
short_description: Options that a person may not give to pgBackRest
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - pgBackRest refuses an option that stands twice, and lets a command's own section hide a global one. An option that
    the role derives from a variable may therefore not be given in C(postgres_backup_options).
  - Nor may one that pgBackRest does not know. It would warn of it at every run and do without.
options:
  _input:
    description: The options that were given, by name.
    type: dict
    required: true
  unknown:
    description:
      - Names that the machine's pgBackRest does not take, as M(odoo_deploy.stack.postgres_backup_info) tells them.
      - Without it, the options of pgBackRest 2.59 are those that are known.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Refuse options that follow from something else
  ansible.builtin.assert:
    that: postgres_backup_options | odoo_deploy.stack.pgbackrest_refusals | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each option that is refused, with the variable to give instead.
  type: list
  elements: str
"""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

# The first rule that an option meets counts.
RULES = (
    (
        r"repo1-cipher-.*",
        "give postgres_backup_cipher_passphrase (in a deployment: postgres_backup_encrypted: true)",
    ),
    (
        r"repo1-(host.*|path)",
        "give postgres_backup_repository, postgres_backup_repository_path or postgres_backup_object_store",
    ),
    (
        r"repo1-(s3-key|s3-key-secret|s3-token|azure-key|gcs-key)",
        "give postgres_backup_object_store_secrets",
    ),
    (r"repo1-(type|s3-.*|azure-.*|gcs-.*|storage-.*)", "give postgres_backup_object_store"),
    (r"pg[0-9]+-.*", "it follows from postgres_backup_servers"),
    (
        r"tls-server-.*",
        "give postgres_backup_address, postgres_backup_port, postgres_backup_certificate or postgres_backup_key",
    ),
    (
        r"(lock|spool|log)-path|stanza|config.*",
        "leave it out, the services may write to the folders of the role alone",
    ),
)


# What may stand in a section [global], for machines that cannot be asked yet: pgBackRest 2.59.1,
# src/build/config/config.yaml, and the older names of some. Those that the rules above refuse are left out.
WORDS = re.compile(r"\S+")
GENERAL = WORDS.findall("""
    allow-root annotation archive-async archive-check archive-copy archive-get-queue-max archive-header-check
    archive-missing-retry archive-mode archive-mode-check archive-push-batch-size archive-push-queue-max
    archive-queue-max archive-timeout backup-standby beta buffer-size checksum-page cmd cmd-ssh compress
    compress-level compress-level-network compress-type db-exclude db-include db-timeout delta exclude
    expire-auto hardlink io-timeout job-retry job-retry-interval link-all link-map log-level-console
    log-level-file log-level-stderr log-subprocess log-timestamp manifest-save-threshold neutral-umask
    page-header-check priority process-max protocol-timeout recovery-option repo-target-time resume
    retention-archive retention-archive-type retention-diff retention-full sck-block sck-keep-alive start-fast
    stop-auto tablespace-map tablespace-map-all tcp-keep-alive-count tcp-keep-alive-idle tcp-keep-alive-interval
    tls-cipher-12 tls-cipher-13
""")
# Of a repository, after repo1-.
OF_A_REPOSITORY = WORDS.findall("""
    azure-account azure-container azure-endpoint azure-key azure-key-type azure-uri-style block block-age-map
    block-checksum-size-map block-size-map block-size-super block-size-super-full bundle bundle-limit
    bundle-size cipher-pass cipher-type gcs-bucket gcs-endpoint gcs-key gcs-key-type gcs-user-project hardlink
    host host-ca-file host-ca-path host-cert-file host-cmd host-config host-config-include-path host-config-path
    host-key-file host-port host-type host-user local path retention-archive retention-archive-type
    retention-diff retention-full retention-full-type retention-history s3-bucket s3-endpoint s3-key
    s3-key-secret s3-key-type s3-kms-key-id s3-process-cmd s3-region s3-requester-pays s3-role s3-service
    s3-sse-customer-key s3-sts-host s3-token s3-uri-style sftp-host sftp-host-fingerprint
    sftp-host-key-check-type sftp-host-key-hash-type sftp-host-port sftp-host-user sftp-known-host
    sftp-private-key-file sftp-private-key-passphrase sftp-public-key-file storage-ca-file storage-ca-path
    storage-host storage-port storage-tag storage-upload-chunk-size storage-verify-tls symlink type
""")


def known(name: str) -> bool:
    """Whether the newest pgBackRest takes an option of this name in its files."""
    found = re.fullmatch(r"repo[0-9]+-(.*)", name)
    return found[1] in OF_A_REPOSITORY if found else name in GENERAL


def pgbackrest_refusals(names: Iterable[str], unknown: Sequence[str] | None = None) -> list[str]:
    """What is wrong with the options of these names; empty if all may be given.

    unknown: what the machine's own pgBackRest does not take; None where it cannot be asked.
    """
    refused = []
    for name in names:
        instead = next((way for pattern, way in RULES if re.fullmatch(pattern, name)), "")
        if not instead and (name in unknown if unknown is not None else not known(name)):
            others = {*GENERAL, *(f"repo1-{option}" for option in OF_A_REPOSITORY)} - {name}
            near = get_close_matches(name, sorted(others), 1, 0.8)
            instead = "pgBackRest takes no such option in its files" + "".join(f", but {one}" for one in near)
        if instead:
            refused.append(f"postgres_backup_options has {name}: {instead}.")
    return refused


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"pgbackrest_refusals": pgbackrest_refusals}
