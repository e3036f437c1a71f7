# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alert rules as Prometheus loads them, from the rules of this collection and the facts of one deployment."""

from __future__ import annotations

DOCUMENTATION = r"""
name: alert_rules
short_description: Alert rules for one deployment
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Completes rule groups of Prometheus with what differs between deployments.
  - Adds a first group, C(wanted), that records how many of each thing the deployment has to have.
  - Adds to each alert the label C(part), its group's name, and the annotation C(runbook).
  - An annotation C(next) that begins with C(on MACHINE:) becomes the command that runs the rest on that machine.
  - C($threshold) in an expression becomes the rule's key C(threshold), a number.
options:
  _input:
    description: Rule groups, each with C(name) and C(rules).
    type: list
    elements: dict
    required: true
  wanted:
    description: Records of the group C(wanted), each with C(name), C(value) and, where it has some, C(labels).
    type: list
    elements: dict
    default: []
  shell:
    description: How a person opens a shell on a machine.
    type: str
    choices: [vagrant, ssh]
    default: ssh
  runbook:
    description: Address of the page that has a section for each alert.
    type: str
    default: docs/monitoring.md
  page:
    description: Address of the dashboards, for the annotation C(panel); empty leaves it out.
    type: str
    default: ""
  disabled:
    description: Names of alerts that are left out.
    type: list
    elements: str
    default: []
  changes:
    description: For an alert's name the keys to replace, C(expr), C(for), C(severity) or C(threshold).
    type: dict
    default: {}
  extra:
    description: Further rule groups, added as they are.
    type: list
    elements: dict
    default: []
  patience:
    description: Factor on the time that each alert waits.
    type: float
    default: 1.0
"""

EXAMPLES = r"""
- name: Show the rules for machines that are reached by ssh
  ansible.builtin.debug:
    msg: "{{ groups | odoo_deploy.stack.alert_rules(wanted=[{'name': 'odoo_pods_wanted', 'value': 4}]) }}"
  vars:
    groups: "{{ (lookup('ansible.builtin.file', 'alerts.yml') | from_yaml).groups }}"
"""

RETURN = r"""
_value:
  description: What a rule file of Prometheus holds, a dictionary with C(groups).
  type: dict
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
CHANGEABLE = {"expr", "for", "severity", "threshold"}
SHELLS = {
    "vagrant": "vagrant ssh {machine} -c '{command}'",
    "ssh": "ssh {machine} '{command}'",
}
ON_MACHINE = re.compile(r"on (?P<machine>\{\{.*?\}\}|[^ :]+): (?P<command>.+)", re.DOTALL)


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it, such as 1h30m, in seconds; raises ValueError for anything else."""
    parts = re.findall(r"([0-9]+)(ms|[smhdwy])", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration: write it as 90s, 5m or 1h30m")
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def records(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules that record constants; raises ValueError for a name or value that is none."""
    found: list[dict[str, Any]] = []
    for one in wanted:
        name, value = one.get("name", ""), one.get("value")
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", str(name)):
            raise ValueError(f"{name!r} is no name of a metric")
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {value!r}, which is no number") from None
        rule: dict[str, Any] = {"record": str(name), "expr": f"vector({number:.15g})"}
        if one.get("labels"):
            rule["labels"] = {str(key): str(text) for key, text in one["labels"].items()}
        found.append(rule)
    return found


def command(text: str, shell: str) -> str:
    """The command of an annotation; `on MACHINE: COMMAND` becomes a call of the shell, others stay as they are."""
    found = ON_MACHINE.fullmatch(text)
    if not found:
        return text
    if "'" in found["command"]:
        raise ValueError(f"{text!r}: a command on a machine holds no quote '")
    return SHELLS[shell].format(**found.groupdict())


def expression(rule: Mapping[str, Any], change: Mapping[str, Any]) -> str:
    """The expression of an alert with its threshold in it."""
    text, threshold = change.get("expr", rule["expr"]), change.get("threshold", rule.get("threshold"))
    if "$threshold" not in text:
        if "threshold" in change:
            raise ValueError(f"{rule['alert']} compares with no threshold: change its expr")
        return str(text)
    try:
        return str(text).replace("$threshold", f"{float(threshold):.15g}")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"the threshold of {rule['alert']} is {threshold!r}, which is no number") from None


def finished(
    rule: Mapping[str, Any],
    part: str,
    shell: str,
    runbook: str,
    page: str,
    change: Mapping[str, Any],
    patience: float,
) -> dict[str, Any]:
    """One alert with its label, annotations and changes."""
    name = rule["alert"]
    odd = set(change) - CHANGEABLE
    if odd:
        raise ValueError(f"{', '.join(sorted(odd))} of {name} cannot be changed, only {', '.join(sorted(CHANGEABLE))}")
    annotations = dict(rule.get("annotations", {}))
    annotations["next"] = command(annotations["next"], shell)
    annotations["runbook"] = f"{runbook}#{name.lower()}"
    if page:
        annotations["panel"] = f"{page}#{part}"
    done: dict[str, Any] = {"alert": name, "expr": expression(rule, change)}
    waits = str(change.get("for", rule.get("for", "0s")))
    scaled = seconds(waits) * patience
    if scaled > 0:
        done["for"] = waits if patience == 1 else f"{max(1, round(scaled))}s"
    done["labels"] = {**rule.get("labels", {}), "part": part}
    if "severity" in change:
        done["labels"]["severity"] = change["severity"]
    done["annotations"] = annotations
    return done


def rules(
    groups: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]] = (),
    shell: str = "ssh",
    runbook: str = "docs/monitoring.md",
    page: str = "",
    disabled: Sequence[str] = (),
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Sequence[Mapping[str, Any]] = (),
    patience: float = 1.0,
) -> dict[str, Any]:
    """The content of a rule file; raises ValueError where a setting names what is not there."""
    if shell not in SHELLS:
        raise ValueError(f"shell must be one of {', '.join(sorted(SHELLS))}, not {shell}")
    changes = changes or {}
    known = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    unknown = sorted((set(disabled) | set(changes)) - set(known))
    if unknown:
        raise ValueError(f"no alert is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    done = [{"name": "wanted", "rules": records(wanted)}] if wanted else []
    for group in groups:
        kept = [
            finished(rule, group["name"], shell, runbook, page, changes.get(rule["alert"], {}), float(patience))
            if "alert" in rule
            else dict(rule)
            for rule in group["rules"]
            if rule.get("alert") not in disabled
        ]
        if kept:
            done.append({"name": group["name"], "rules": kept})
    return {"groups": done + [dict(group) for group in extra]}


def alert_rules(groups: Sequence[Mapping[str, Any]], **options: Any) -> dict[str, Any]:
    try:
        return rules(groups, **options)
    except (KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"alert_rules: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"alert_rules": alert_rules}
