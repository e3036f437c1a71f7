# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which PostgreSQL server may be the primary: decided from what every server says of itself.

Pure: no Ansible, no machine, no clock. A command asks the servers, gets a plan (a refusal, or acts in their order),
and carries the acts out. Every act may be the last one before a power cut: planning again from what is found then
ends in the same place, or refuses and names the next command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ansible_collections.odoo_deploy.stack.plugins.module_utils.plans import digest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import lsn_number


class Epoch(TypedDict):
    """Who became the primary last, or is about to, as far as a machine knows; a higher number is later.

    covers: the newest timeline that was known then. Where it is newer than the primary's own, that one was given up.
    """

    number: int
    timeline: int
    covers: int
    server: str
    moment: str
    system_identifier: str


class Control(TypedDict, total=False):
    """Of pg_controldata; see parse_controldata of the module_utils postgres_server."""

    system_identifier: str
    state: str
    timeline: int


class Standby(TypedDict, total=False):
    """A row of pg_stat_replication."""

    name: str
    state: str
    lag_bytes: int | None


class State(TypedDict, total=False):
    """What a server says of itself: the keys of C(postgres_server_info)'s answer that a plan is made of.

    role: absent, empty, stopped, unresponsive, standby or primary. timeline: the newest that its data is on.
    lsn_number: its position in the WAL; where it is stopped only that of its control file. replay_lsn: up to where a
    standby has whole records. rewinding, restoring, upgrading: marks that such a command leaves when it is cut off.
    """

    name: str
    role: str
    version: str
    configured: bool
    timeline: int | None
    lsn_number: int | None
    replay_lsn: str | None
    control: Control | None
    standby_signal: bool
    following: bool
    standbys: list[Standby]
    patroni: bool
    rewinding: bool
    restoring: bool
    upgrading: bool
    sync_suspended: bool
    synchronous_standby_names: str
    checksum_failures: int | None
    epoch: Epoch | None
    message: str


# Control files of standbys speak of recovery; these states are a primary's.
PRIMARY_STATES = ("shut down", "shutting down", "in production", "in crash recovery", "starting up")
MARKS = {
    "rewinding": "a rejoin that was cut off",
    "restoring": "a restore that was cut off",
    "upgrading": "a major upgrade that was cut off",
}


@dataclass(frozen=True)
class Act:
    """One step on one server."""

    act: str
    server: str


@dataclass(frozen=True)
class Plan:
    """What a command would do.

    refusal: why nothing is done; it names the next command. summary: what a person agrees to, question: what is asked
    (empty: nothing to agree to). primary: the server that is the primary in the end. acts: in their order. again: the
    servers have to be asked again after these acts, and a plan made anew. after: why the command fails in the end all
    the same. back: the server that serves until then, and again where the new one cannot be promoted.
    """

    refusal: str = ""
    summary: str = ""
    question: str = ""
    primary: str = ""
    acts: tuple[Act, ...] = ()
    again: bool = False
    after: str = ""
    back: str = ""

    def servers(self, *acts: str) -> list[str]:
        """Those on which one of the acts is done."""
        return list(dict.fromkeys(act.server for act in self.acts if act.act in acts))

    def as_dict(self) -> dict[str, Any]:
        """For Ansible; C(on) maps an act to its servers, C(digest) tells two plans apart."""
        on: dict[str, list[str]] = {act: [] for act in ACTS}
        for act in self.acts:
            on[act.act].append(act.server)
        shown = {"refusal": self.refusal, "summary": self.summary, "primary": self.primary, "on": on}
        return {
            **shown,
            "question": self.question,
            "steps": [f"{act.server}: {ACTS[act.act]}" for act in self.acts],
            "again": self.again,
            "after": self.after,
            "back": self.back,
            "digest": digest(shown),
        }


# Each act, and what a person reads of it.
ACTS = {
    "create": "create the cluster",
    "copy": "copy the primary's data",
    "leave": "leave stopped",
    "start": "start as a standby",
    "start_guarded": "start if the boot guard lets it",
    "start_alone": "start as the primary",
    "checkpoint": "checkpoint",
    "demote": "stop, and mark as a standby",
    "fence": "stop at once, and mark as a standby",
    "power_off": "power the machine off",
    "suspend_sync": "let commits wait for no standby",
    "resume_sync": "let commits wait for a standby again",
    "promote": "promote once it has everything, checkpoint",
    "record": "record who is primary",
    "rejoin": "give up what only it has, follow the primary",
    "follow": "wait until it streams",
}


def named(names: Iterable[str], last: str = "and") -> str:
    """C(pg1), C(pg1 and pg2), C(pg1, pg2 and pg3)."""
    *others, end = list(names) or [""]
    return f"{', '.join(others)} {last} {end}" if others else end


class Topology:
    """The servers of a deployment: members are all of their names, states what those that answered said.

    records: epochs that machines without a server keep, such as witnesses.
    """

    def __init__(self, states: Sequence[State], members: Iterable[str], records: Iterable[Epoch | None] = ()) -> None:
        self.states, self.members, self.records = list(states), list(members), list(records)
        self.by_name = {state["name"]: state for state in self.states}
        told = [*(state.get("epoch") for state in self.states), *self.records]
        self.newest_number = max((record["number"] for record in told if record), default=0)
        # One that is about other databases, on a machine that had them before or keeps both, must not hide those of
        # these.
        systems = {self.system(name) for name in self.by_name}
        mine = [record for record in told if record and record["system_identifier"] in systems]
        self.epoch, self.disputed = self._newest(mine or told)

    @staticmethod
    def _newest(records: Iterable[Epoch | None]) -> tuple[Epoch | None, bool]:
        """The last record, and whether another one claims the same number for another server."""
        known = [record for record in records if record]
        if not known:
            return None, False
        newest = max(known, key=lambda record: (record["number"], record["moment"]))
        rivals = {record["server"] for record in known if record["number"] == newest["number"]}
        return newest, len(rivals) > 1

    def names(self, wanted: Callable[[State], bool]) -> list[str]:
        return [state["name"] for state in self.states if wanted(state)]

    @property
    def primaries(self) -> list[str]:
        return self.names(lambda state: state["role"] == "primary")

    @property
    def silent(self) -> list[str]:
        return [name for name in self.members if name not in self.by_name]

    @property
    def standbys(self) -> list[str]:
        """Those that run, the furthest first. Their positions can be compared."""
        return self.ranked(self.names(lambda state: state["role"] == "standby" and not marks(state)))

    @property
    def sleeping(self) -> list[str]:
        """Stopped, and standbys when they are started: that is safe at any time."""
        return self.names(lambda state: state["role"] == "stopped" and state["standby_signal"] and not marks(state))

    @property
    def former(self) -> list[str]:
        """Stopped, and primaries when they are started. Several are not ranked: their data does not show the last."""
        return self.names(lambda state: state["role"] == "stopped" and not state["standby_signal"] and not marks(state))

    @property
    def marked(self) -> list[str]:
        return self.names(lambda state: bool(marks(state)))

    @property
    def demoted(self) -> list[str]:
        """Stopped for a switchover or a fence: marked as standbys, but their control files are a primary's."""
        return [name for name in self.sleeping if was_primary(self.by_name[name])]

    @property
    def holders(self) -> list[str]:
        return self.names(lambda state: state["role"] not in ("absent", "empty"))

    def ranked(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self.position, reverse=True)

    def position(self, name: str) -> tuple[int, bool, int]:
        """How far a server is; one that newer timelines were given up for is before those."""
        covered = self.covered(name)
        return covered, covered > self.timeline(name), self.by_name[name].get("lsn_number") or 0

    def written(self, name: str) -> tuple[int, int]:
        """How far its data is, whatever was given up."""
        return self.timeline(name), self.by_name[name].get("lsn_number") or 0

    def timeline(self, name: str) -> int:
        return self.by_name[name].get("timeline") or 0

    def system(self, name: str) -> str:
        return (self.by_name[name].get("control") or {}).get("system_identifier", "")

    def lag(self, name: str) -> int | None:
        """Bytes that a standby is behind its primary; None where it does not stream."""
        rows = (row for state in self.states if state["role"] == "primary" for row in state["standbys"])
        return next((row["lag_bytes"] for row in rows if row["name"] == name and row["state"] == "streaming"), None)

    def epoch_of(self, name: str) -> Epoch | None:
        """The last epoch, if it is about the databases that this server has; a major upgrade begins new ones."""
        epoch = self.epoch
        return epoch if epoch and epoch["system_identifier"] == self.system(name) else None

    def covered(self, name: str) -> int:
        """The newest timeline that this server's data takes precedence over."""
        epoch = self.epoch_of(name)
        known = epoch["covers"] if epoch and epoch["server"] == name and not self.disputed else 0
        return max(self.timeline(name), known)

    def taken(self, name: str) -> int:
        """The newest timeline that any history of this server's databases is known to have: a promotion goes beyond."""
        epoch, system = self.epoch_of(name), self.system(name)
        known = (self.timeline(other) for other in self.by_name if self.system(other) == system)
        return max(epoch["covers"] if epoch else 0, *known)

    def newer(self, name: str) -> list[str]:
        """Servers with the same databases on a newer timeline that was not given up."""
        return [
            other
            for other in self.by_name
            if self.timeline(other) > self.covered(name) and self.system(other) == self.system(name)
        ]

    def further(self, primary: str) -> list[str]:
        """Standbys that have more of the primary's own timeline, and do not follow it.

        A primary sends only what is on its disk: that was put back to an earlier state, as by a snapshot.
        """
        end = self.by_name[primary].get("lsn_number") or 0
        return [
            name
            for name in self.standbys
            if not self.by_name[name]["following"]
            and self.timeline(name) == self.timeline(primary)
            and self.system(name) == self.system(primary)
            and (lsn_number(self.by_name[name].get("replay_lsn")) or 0) > end
        ]

    def surpassed(self, name: str) -> str:
        """Why this server is not the last primary, as far as anybody knows; empty if it could be."""
        epoch, newer = self.epoch_of(name), self.newer(name)
        if newer:
            return (
                f"{named(newer)} is on timeline {self.timeline(self.ranked(newer)[0])}, {name} on {self.timeline(name)}"
            )
        if not epoch or epoch["server"] == name or epoch["timeline"] < self.timeline(name):
            return ""
        last = self.by_name.get(epoch["server"])
        if last and self.system(last["name"]) == self.system(name) and last["standby_signal"] and not marks(last):
            return ""  # it was demoted since, or never promoted; its own timeline was compared above
        return (
            f"{epoch['server']} became the primary after {name}, on timeline {epoch['timeline']}"
            f" ({epoch['moment']}, epoch {epoch['number']})"
        )

    def about_to_be(self, instead_of: str) -> str:
        """The standby that a command was about to promote, when it was cut off; empty if there is none.

        While it runs, the promotion may have been asked for, and still happen.
        """
        epoch = self.epoch_of(instead_of)
        last = self.by_name.get(epoch["server"]) if epoch and epoch["server"] != instead_of else None
        # The record is written before the promotion: until then the server's own timeline is an older one.
        if not epoch or not last or not last["standby_signal"] or self.timeline(last["name"]) >= epoch["timeline"]:
            return ""
        return last["name"]

    def last(self, among: Sequence[str]) -> str:
        """The one of several stopped primaries that was the last, if the epoch decides that; else empty."""
        name = self.epoch["server"] if self.epoch and not self.disputed else ""
        if not self.epoch or name not in among or not self.epoch_of(name) or self.newer(name):
            return ""
        # Two servers can be promoted to timelines of the same number; only one of the two promotions was recorded.
        given_up = self.epoch["covers"] if self.epoch["covers"] > self.epoch["timeline"] else self.epoch["timeline"] - 1
        others = [other for other in among if other != name]
        known = all(self.system(other) == self.system(name) and self.timeline(other) <= given_up for other in others)
        return name if known else ""

    def described(self, names: Iterable[str]) -> str:
        """For a person who has to choose: timelines and checkpoints."""
        told = []
        for name in names:
            control = self.by_name[name].get("control") or {}
            when = control.get("checkpoint_time", "")
            told.append(f"{name} is on timeline {self.timeline(name)}" + (f", last checkpoint {when}" if when else ""))
        return "; ".join(told)

    def reached(self, *first: str) -> list[str]:
        """Those that answered and can keep a record, these first."""
        installed = [state["name"] for state in self.states if state["role"] != "absent"]
        return list(dict.fromkeys([*first, *installed]))

    def recorded(self, name: str) -> bool:
        """Whether every machine that answered knows that this one is the primary on its timeline."""
        epoch = self.epoch_of(name)
        return bool(
            epoch
            and not self.disputed
            and self.next_epoch(name, self.timeline(name), "") == epoch
            and all(self.by_name[other].get("epoch") == epoch for other in self.reached())
            and all(record == epoch for record in self.records)
        )

    def to_be(self, plan: Plan) -> int:
        """The timeline that a plan's primary will be on; 0 where it has none yet."""
        if plan.primary not in self.by_name:
            return 0
        return self.taken(plan.primary) + 1 if plan.servers("promote") else self.timeline(plan.primary)

    def next_epoch(self, name: str, timeline: int, moment: str) -> Epoch:
        """The record of this server as the primary: the last one if it is about just that, else a new one."""
        epoch = self.epoch
        system = self.system(name)
        covers = max([timeline, *(self.timeline(other) for other in self.by_name if self.system(other) == system)])
        told = Epoch(
            number=self.newest_number + 1,
            server=name,
            timeline=timeline,
            covers=covers,
            moment=moment,
            system_identifier=system,
        )
        if epoch and not self.disputed and epoch["covers"] >= covers and epoch["number"] == self.newest_number:
            same = all(epoch[key] == told[key] for key in ("server", "timeline", "system_identifier"))
            return epoch if same else told
        return told


def marks(state: State) -> list[str]:
    """Commands that were cut off on this server and left data that nobody may start."""
    return [mark for mark in MARKS if state.get(mark)]


def was_primary(state: State) -> bool:
    return (state.get("control") or {}).get("state") in PRIMARY_STATES


def cleanly(state: State) -> bool:
    """Stopped by a shutdown as a primary, so that nothing acknowledged is missing in its WAL."""
    return (state.get("control") or {}).get("state") == "shut down"


def acts(act: str, names: Iterable[str]) -> list[Act]:
    return [Act(act, name) for name in names]


def both_write(topology: Topology, way_out: str) -> str:
    return f"{named(topology.primaries)} both accept writes: {way_out}"


def plan_start(topology: Topology, initial: str = "") -> Plan:
    """postgres.yml: which stopped server may be started, and as what. initial: the primary if no server has data."""
    primaries, former = topology.primaries, topology.former
    if len(primaries) > 1:
        return Plan(
            both_write(
                topology,
                "Stop the one whose data is to be given up, then run playbooks/rejoin.yml; playbooks/status.yml shows"
                " their timelines.",
            )
        )
    for state in topology.states:
        if state["role"] == "unresponsive":
            return Plan(
                f"{state['name']} runs PostgreSQL, but it does not answer ({state.get('message', '')}): look into its"
                " log, and run playbooks/failover.yml if it stays so."
            )
    # A restore that was cut off early has no control file yet, so that its data looks like none.
    interrupted = [
        name
        for name in topology.marked
        if topology.by_name[name]["role"] == "stopped"
        or (topology.by_name[name]["role"] == "empty" and topology.by_name[name].get("restoring"))
    ]
    if interrupted:
        name = interrupted[0]
        mark = marks(topology.by_name[name])[0]
        command = {
            "rewinding": f"run playbooks/{'rejoin' if primaries else 'failover'}.yml",
            "restoring": "run the restore again, or remove that data if it is of no more use",
            "upgrading": "run playbooks/postgres_major_upgrade.yml again",
        }[mark]
        return Plan(f"{name} holds what {MARKS[mark]} left, and cannot be started: {command}.")
    if not topology.holders:
        return _plan_first(topology, initial)
    if primaries:
        return _plan_beside(topology, primaries[0])
    if any(state.get("patroni") for state in topology.states):  # its voters elect the primary
        return Plan(acts=tuple(acts("start", [*former, *topology.sleeping])))
    others = acts("start", topology.sleeping)
    copies = acts("copy", topology.names(lambda state: state["role"] in ("empty", "absent")))
    if not former and initial in [act.server for act in copies]:
        return Plan(
            f"{initial} is empty and meant to be the primary, but {named(topology.holders)} holds data and is no"
            " primary: run playbooks/failover.yml (or restore a backup) first, so that no empty database is made over"
            " existing data."
        )
    if not former:
        return Plan(acts=(*others, *copies), after=nobody_writes())
    if topology.silent:
        # Nobody knows what the silent ones are: the boot guard waits for them, and refuses without them.
        return Plan(acts=(*acts("start_guarded", former), *others))
    chosen = topology.last(former) if len(former) > 1 else former[0]
    if not chosen:
        return Plan(undecided(topology, former))
    why = topology.surpassed(chosen)
    if why:
        return Plan(
            f"{chosen} holds the data of an old primary: {why}. Run playbooks/failover.yml, then playbooks/rejoin.yml."
            " Nothing was started."
        )
    promised = topology.about_to_be(chosen)
    if promised:
        return Plan(
            f"A failover to {promised} was cut off before it promoted it: run playbooks/failover.yml again, then"
            " playbooks/rejoin.yml. Nothing was started."
        )
    left = [name for name in former if name != chosen]
    return Plan(
        primary=chosen,
        acts=(Act("start_alone", chosen), *others, *copies, *acts("leave", left)),
        after=old_data(left, [chosen]) if left else "",
    )


def nobody_writes() -> str:
    return (
        "No server is primary: if a switchover was cut off, run playbooks/switchover.yml again, else"
        " playbooks/failover.yml."
    )


def _plan_first(topology: Topology, initial: str) -> Plan:
    """No server that answered holds data."""
    if initial not in topology.members:
        return Plan(
            f"No server holds data, and postgres_common_initial_primary ({initial}) is none of postgres_common_members."
        )
    if topology.silent:
        return Plan(
            f"No server that answers holds data, and {named(topology.silent)} does not answer and could hold some:"
            " start that machine first, so that no empty database is made over existing data."
        )
    if any(state.get("patroni") for state in topology.states):
        return Plan(
            "No server holds data, and Patroni has run databases here: restore a backup, or, to begin with empty"
            " ones, take the servers back from Patroni (docs/postgres.md) and remove what its voters keep. Nothing was"
            " changed."
        )
    others = [name for name in topology.by_name if name != initial]
    return Plan(primary=initial, acts=(Act("create", initial), *acts("copy", others)))


def _plan_beside(topology: Topology, primary: str) -> Plan:
    """One server is primary and runs."""
    why = topology.surpassed(primary)
    newer = topology.newer(primary)
    lost = [name for name in topology.former if topology.system(name)]
    if lost:
        return Plan(old_data(lost, [primary, *newer]))
    if why and newer:
        return Plan(
            f"{primary} accepts writes, but {why}: playbooks/status.yml shows the servers,"
            " playbooks/rejoin.yml gives up what a server has and the primary has not."
        )
    copies = topology.names(lambda state: state["role"] in ("empty", "absent"))
    return Plan(primary=primary, acts=(*acts("start", topology.sleeping), *acts("copy", copies)))


def old_data(lost: Sequence[str], after: Sequence[str]) -> str:
    took = named(dict.fromkeys(after))
    return f"{named(lost)} holds the data of an old primary, and {took} took over: run playbooks/rejoin.yml."


def undecided(topology: Topology, among: Sequence[str]) -> str:
    """Several servers were primaries, and which one was the last is not known."""
    former = topology.ranked(among)
    about = f" ({topology.epoch['server']} is the last that was recorded)" if topology.epoch else ""
    return (
        f"{named(former)} were all primaries, and no record shows which one was the last{about}."
        f" {topology.described(former)}. Choose the one whose data is kept: run playbooks/failover.yml -e"
        f" postgres_failover_to=NAME, then playbooks/rejoin.yml for the others. Nothing was started."
    )


def permitted(topology: Topology, plan: Plan) -> str:
    """The one server that may be started as the primary without an answer of every peer: all were asked in this run."""
    started = plan.servers("start_alone", "create")
    if plan.refusal or topology.silent:
        return ""
    if started:
        return started[0]
    primaries = topology.primaries
    return primaries[0] if len(primaries) == 1 and not topology.former else ""


def plan_switchover(topology: Topology, to: str = "", max_lag: int = 16 << 20) -> Plan:
    """Planned: nothing acknowledged is lost. Goes on where an earlier one was cut off."""
    primaries, standbys, sleeping = topology.primaries, topology.standbys, topology.sleeping
    to = to or next(iter([*standbys, *primaries]), "")
    if to and to not in topology.members:
        return Plan(f"{to} is no server of this deployment: {named(topology.members)}. Nothing was changed.")
    if topology.silent:
        return Plan(
            f"Not every server was reached ({named(topology.silent)}): a switchover needs all of them. Nothing was"
            " changed."
        )
    if len(primaries) > 1:
        return Plan(both_write(topology, "see status.yml."))
    if primaries == [to]:
        return _plan_switched(topology, to)
    target = topology.by_name.get(to)
    if not target or target["role"] != "standby" or marks(target):
        found = f"{to} is {' and '.join(marks(target)) or target['role']}" if target else "none runs"
        more = (
            "" if primaries or not sleeping else f" ({named(sleeping)} is stopped as a standby: postgres.yml starts it)"
        )
        return Plan(f"No standby to switch to: {found}{more}; see status.yml and rejoin.yml.")
    followers = [name for name in standbys if name != to]
    # Where these ended nobody knows, so that no standby can be shown to have everything.
    killed = [name for name in topology.demoted if not cleanly(topology.by_name[name])]
    if primaries and killed:
        return Plan(f"{named(killed)} was fenced, and does not follow {primaries[0]} yet: run rejoin.yml first.")
    if primaries:
        old, lag = primaries[0], topology.lag(to)
        if lag is None or lag > max_lag:
            behind = f"does not stream from {old}" if lag is None else f"is {lag} bytes behind {old}"
            return Plan(f"{to} {behind} (allowed: {max_lag} bytes behind): see status.yml.")
        return Plan(
            summary=f"Stop {old}, promote {to}, make {old} its standby.",
            question=f"Switch over to {to}? Writes are refused for a moment",
            primary=to,
            acts=_switch(topology, to, [old, *sleeping], followers, (old, to)),
            back=old,
        )
    # Cut off: nobody accepts writes, and the old primary is stopped, or a standby by now.
    stopped = [name for name in topology.former if cleanly(topology.by_name[name])]
    stopping = [*sleeping, *(stopped if topology.former == stopped and len(stopped) == 1 else [])]
    behind_whom = [
        name
        for name in topology.by_name
        if name != to
        and (name not in [*stopping, *standbys] or name in killed or topology.written(name) > topology.written(to))
    ]
    promised = topology.about_to_be(to)
    if promised:
        return Plan(
            f"A promotion of {promised} was cut off, and may still happen: run switchover.yml -e"
            f" postgres_switchover_to={promised}, or failover.yml. Nothing was changed."
        )
    if behind_whom or topology.surpassed(to):
        return Plan(
            f"No server is primary, and {to} may not have everything that {named(behind_whom) or 'another'} has: see"
            " status.yml; postgres.yml starts a primary that was stopped, failover.yml takes the server with the most"
            " data."
        )
    return Plan(
        summary=f"Go on with a switchover that was cut off: promote {to} and make the others its standbys.",
        question=f"Switch over to {to}? Writes are refused for a moment",
        primary=to,
        acts=_switch(topology, to, stopping, followers, (to,)),
    )


def _switch(
    topology: Topology, to: str, stopping: Sequence[str], followers: Sequence[str], checkpoints: Sequence[str]
) -> tuple[Act, ...]:
    return (
        *acts("checkpoint", checkpoints),
        *acts("demote", stopping),
        Act("promote", to),
        *acts("record", topology.reached(to)),
        *acts("start", stopping),
        *acts("follow", [*stopping, *followers]),
    )


def _plan_switched(topology: Topology, to: str) -> Plan:
    """The wanted server is the primary: what a switchover that was cut off did not come to."""
    why = topology.surpassed(to)
    if topology.former or why:
        lost = topology.former
        return Plan(old_data(lost, [to]) if lost else f"{to} accepts writes, but {why}: see status.yml.")
    sleeping = topology.sleeping
    others = [name for name in topology.by_name if name != to and name in [*sleeping, *topology.standbys]]
    recording = [] if topology.recorded(to) else acts("record", topology.reached(to))
    more = f"; starting {named(sleeping)} as its standby" if sleeping else ""
    return Plan(
        summary=f"{to} is the primary already{more}.",
        primary=to,
        acts=(*recording, *acts("start", sleeping), *acts("follow", others)),
    )


def plan_failover(
    topology: Topology, to: str = "", force: bool = False, fenced: Sequence[str] = (), woken: Sequence[str] = ()
) -> Plan:
    """Unplanned: every server that could accept writes is fenced first, then the one with the most data takes over.

    fenced: silent servers that this command has powered off once; woken: those that it has tried to start as standbys.
    """
    primaries, former, standbys = topology.primaries, topology.former, topology.standbys
    if to and to not in topology.members:
        return Plan(f"{to} is no server of this deployment: {named(topology.members)}. Nothing was changed.")
    if len(primaries) > 1:
        return Plan(both_write(topology, "stop the one to be given up, then run rejoin.yml."))
    if primaries and not force:
        return Plan(
            f"{primaries[0]} is primary and answers: use switchover.yml, which loses nothing"
            " (or -e postgres_failover_force=true)."
        )
    if primaries and primaries == [to]:
        return Plan(f"{to} is the primary already: see status.yml. Nothing was changed.")
    asleep = [name for name in topology.sleeping if name not in woken]
    chosen = to or _most(topology, asleep)
    refusal = _blocked(topology, chosen, force)
    if refusal:
        return Plan(refusal)
    # Positions of stopped standbys are old: they are started, which is safe, and asked.
    waking = (
        []
        if chosen in former
        else [name for name in asleep if name == chosen or not (primaries or to or was_primary(topology.by_name[name]))]
    )
    unseen = _could_have_more(topology, chosen, waking)
    if unseen and not force:
        return Plan(
            f"Commits wait for one standby only, and {named(unseen, 'or')} may have acknowledged ones that {chosen} has"
            f" not: start it, then run failover.yml again, or give that up by -e postgres_failover_force=true."
        )
    silent = topology.silent
    harmless = ("standby", "empty", "absent")
    promised = topology.about_to_be(chosen)
    pending = [name for name in standbys if name == promised]
    fencing = [
        *topology.names(lambda state: state["role"] not in harmless and state["name"] not in [chosen, *waking]),
        *pending,
    ]
    suspects = [*fencing, *silent]
    fence = f"ence {', '.join(suspects) or 'nobody'}"
    stopping = [*acts("fence", fencing), *acts("power_off", silent)]
    unclear = [name for name in suspects if name not in [*topology.sleeping, *fenced]]
    if waking or pending or (not to and chosen in standbys and len(standbys) > 1 and unclear):
        # A server that is fenced may have sent more until then: who has the most is asked afterwards. A promotion that
        # may be under way is ended before another server is recorded.
        start = f", start {named(waking)} as a standby" if waking else ""
        return Plan(
            summary=f"F{fence}{start}, then promote {to if to else 'the one with the most data'}, now {chosen}.",
            question=f"Fail over, as it looks now to {chosen}? Transactions that did not reach it are lost",
            primary=chosen,
            acts=(*stopping, *acts("start", waking)),
            again=True,
        )
    # Before an old primary is off, so that it is not started when its machine comes back in between; and as it became.
    # One that was off already may have come back before the record: it is powered off again.
    recording = acts("record", topology.reached(chosen))
    return Plan(
        summary=f"F{fence}, then {'start' if chosen in former else 'promote'} {chosen}.",
        question=f"Fail over to {chosen}? Transactions that did not reach it are lost",
        primary=chosen,
        acts=(
            *recording,
            *stopping,
            *acts("suspend_sync", [chosen] if _alone(topology, chosen) else []),
            Act("start_alone" if chosen in former else "promote", chosen),
            *recording,
        ),
    )


def _most(topology: Topology, asleep: Sequence[str]) -> str:
    """The server that a failover takes; empty where the servers do not show which one that is."""
    if topology.standbys:
        return topology.standbys[0]
    sleeping = topology.ranked(asleep)
    # Several that were primaries may have parted: their positions do not show which one has what was written last.
    among = topology.former or [name for name in sleeping if name in topology.demoted]
    last = topology.last(among) if len(among) > 1 else next(iter(among), "")
    if len(among) > 1 and not last:
        return ""
    if sleeping and (not last or topology.position(sleeping[0])[:2] > topology.position(last)[:2]):
        return sleeping[0]
    return last


def _each(topology: Topology) -> str:
    """What every server is, the silent ones too."""
    told = {
        name: f"holds what {MARKS[left[0]]} left" if (left := marks(state)) else f"is {state['role']}"
        for name, state in topology.by_name.items()
    }
    return ", ".join(f"{name} {told.get(name, 'is silent')}" for name in topology.members)


def _way_out(topology: Topology) -> str:
    """What helps where no server can take over. One that hangs has all its data: nothing is to be restored."""
    hanging = topology.names(lambda state: state["role"] == "unresponsive")
    if hanging:
        return (
            f"PostgreSQL on {named(hanging)} runs, but answers nobody: look into its log, and restart it there"
            " (systemctl restart 'postgresql@*')."
        )
    return "Start a machine that holds data, or restore a backup (restore.yml)."


def _blocked(topology: Topology, chosen: str, force: bool) -> str:
    """Why the server that was chosen must not take over."""
    candidates = [*topology.standbys, *topology.former, *topology.sleeping]
    among = topology.former or topology.demoted
    if not chosen and len(among) > 1:
        return undecided(topology, among)
    if chosen in topology.marked:
        left = MARKS[marks(topology.by_name[chosen])[0]]
        return f"{chosen} holds what {left} left, and cannot be promoted: choose another server. Nothing was changed."
    if chosen not in candidates:
        return f"No server can take over: {_each(topology)}. {_way_out(topology)}"
    if force:
        return ""
    ahead = [
        name
        for name in candidates
        if topology.position(name)[:2] > topology.position(chosen)[:2]
        or (
            name in topology.standbys
            and chosen in topology.standbys
            and topology.position(name) > topology.position(chosen)
        )
    ]
    if ahead:
        best = topology.ranked(ahead)[0]
        return (
            f"{best} has more data than {chosen}: promote that one, or give up what it has by -e"
            " postgres_failover_force=true."
        )
    why = topology.surpassed(chosen)
    epoch = topology.epoch_of(chosen)
    if why and epoch and (chosen in topology.former or epoch["timeline"] > topology.timeline(chosen)):
        if chosen in topology.former and len(topology.former) > 1:
            return ""  # a person chose between them
        return (
            f"{chosen} does not have what was written last: {why}. Start {epoch['server']} and run postgres.yml, or"
            " give that up by -e postgres_failover_force=true. Nothing was changed."
        )
    return ""


def _could_have_more(topology: Topology, chosen: str, waking: Sequence[str]) -> list[str]:
    """Standbys that nobody can compare with the chosen one, where each commit waited for one of them.

    One server beside may be that, since it is the last primary.
    """
    if chosen not in topology.standbys:
        return []
    state = topology.by_name[chosen]
    if not state.get("synchronous_standby_names") or state.get("patroni"):
        return []
    compared = [*topology.standbys, *waking, *topology.names(lambda other: other["role"] in ("empty", "absent"))]
    unseen = [name for name in topology.members if name not in compared]
    epoch = topology.epoch_of(chosen)
    last = [*topology.primaries, *([epoch["server"]] if epoch else [])]
    return [name for name in unseen if name not in last] if len(unseen) > 1 else []


def _alone(topology: Topology, chosen: str) -> bool:
    """Whether its commits would wait for a standby, and none is left."""
    others = [name for name in topology.standbys if name != chosen]
    return bool(topology.by_name[chosen].get("synchronous_standby_names")) and not others


def plan_rejoin(topology: Topology, only: str = "") -> Plan:
    """Every server that is not the primary follows it; what only they have is given up."""
    if only and only not in topology.members:
        return Plan(f"{only} is no server of this deployment: {named(topology.members)}. Nothing was changed.")
    primaries = [name for name in topology.primaries if name != only]
    if not primaries and topology.primaries:
        return Plan(f"{only} is the primary, and nobody else is: run switchover.yml first. Nothing was changed.")
    if not primaries:
        return Plan(f"No server is primary: {_serves_again(topology)}.")
    if len(primaries) > 1:
        return Plan(
            f"More than one server accepts writes ({', '.join(primaries)}): name the one whose data is to be given"
            " up by -e postgres_rejoin=NAME."
        )
    primary = topology.by_name[primaries[0]]
    name = primary["name"]
    streaming = {row["name"] for row in primary["standbys"] if row["state"] == "streaming"}
    lost = (
        [only]
        if only
        else topology.names(
            lambda state: (
                state["role"] not in ("primary", "absent") and not state["following"] and state["name"] not in streaming
            )
        )
    )
    if only and only not in topology.by_name:
        return Plan(f"{only} was not reached: start that machine, then run this again. Nothing was changed.")
    mine = [topology.by_name[other] for other in lost]
    refusal = _other_versions(mine, primary)
    if refusal:
        return Plan(refusal)
    # A person who names the server has decided; without a name nothing that is newer is given up.
    newer = [other for other in lost if other in topology.newer(name)]
    if newer and not only:
        return Plan(f"{', '.join(newer)} is on a newer timeline than {name}: {either(name, newer[0])}")
    further = [other for other in topology.further(name) if other in lost]
    if further and not only:
        return Plan(f"{put_back(topology, further, name)}: {either(name, further[0])}")
    epoch = topology.epoch_of(name)
    if epoch and epoch["server"] not in (name, only) and epoch["timeline"] > topology.timeline(name):
        return Plan(
            f"{epoch['server']} became the primary after {name}, on timeline {epoch['timeline']} ({epoch['moment']}):"
            f" {either(name, epoch['server'])}"
        )
    silent = [] if only else topology.silent
    after = (
        f"{', '.join(silent)} does not answer, and is not brought back: start that machine, then run this again. Every"
        f" other server follows {name}."
        if silent
        else ""
    )
    suspended = acts("resume_sync", [name]) if primary.get("sync_suspended") and (lost or streaming) else []
    recording = [] if topology.recorded(name) else acts("record", topology.reached(name))
    if not lost:
        return Plan(
            summary=f"Every server that answers follows {name} already.",
            primary=name,
            acts=(*recording, *suspended),
            after=after,
        )
    return Plan(
        summary=f"Make {', '.join(lost)} follow {name}; what only they have is given up.",
        question=f"Give up what {', '.join(lost)} has and {name} has not?",
        primary=name,
        acts=(*recording, *acts("rejoin", lost), *suspended),
        after=after,
    )


def put_back(topology: Topology, further: Sequence[str], primary: str) -> str:
    return (
        f"{named(further)} has more of timeline {topology.timeline(primary)} than {primary}, whose disk was put back to"
        " an earlier state"
    )


def either(kept: str, other: str) -> str:
    return (
        f"see status.yml. To keep what {kept} has, name the server to give up by -e postgres_rejoin={other}; to keep"
        f" {other}, run failover.yml -e postgres_failover_to={other} -e postgres_failover_force=true."
    )


def _other_versions(lost: Sequence[State], primary: State) -> str:
    """Between a major upgrade's parts neither a rewind nor a copy makes one version of another."""
    other = [state for state in lost if state["version"] != primary["version"]]
    names = ", ".join(state["name"] for state in other)
    if not other:
        return ""
    if any(not state["configured"] for state in other):
        return (
            f"{names} holds no cluster: run playbooks/postgres.yml, which copies the data of {primary['name']}. Nothing"
            " was changed."
        )
    if int(primary["version"]) > int(other[0]["version"]):
        way = (
            f"run playbooks/postgres_major_upgrade.yml -e postgres_major_to={primary['version']}, which goes on where"
            " it was cut off."
        )
    else:
        way = (
            f"to keep what {primary['name']} has, run pg_dropcluster {other[0]['version']} main on {names}, then this"
            " again."
        )
    return (
        f"{names} has PostgreSQL {other[0]['version']}, the primary {primary['name']} has {primary['version']}, and no"
        f" server can follow one of another version: {way} Nothing was changed."
    )


def _serves_again(topology: Topology) -> str:
    """The command that loses the least."""
    if any(state.get("patroni") for state in topology.states):
        return "run failover.yml"
    last = plan_start(topology).servers("start_alone")
    if last:
        return f"run postgres.yml, which starts {last[0]} with all that it has; else failover.yml"
    if not plan_switchover(topology).refusal:
        return "run switchover.yml again, which goes on where it was cut off; else failover.yml"
    return "run failover.yml"


def plan_status(topology: Topology, voters: Sequence[str] = ()) -> Plan:
    """What is not well, in one text. voters: those that do not vote."""
    primaries, silent = topology.primaries, topology.silent
    lost = topology.names(lambda state: state["role"] != "primary" and not state["following"])
    corrupt = topology.names(lambda state: bool(state.get("checksum_failures")))
    suspended = topology.names(lambda state: bool(state.get("sync_suspended")))
    told = []
    if len(primaries) > 1:
        told.append(
            f"TWO SERVERS ACCEPT WRITES: {', '.join(primaries)}. Stop the one to be given up, then run rejoin.yml."
        )
    if not primaries:
        told.append(f"No server accepts writes: {_serves_again(topology)}.")
    if voters:
        told.append(f"Not voting: {', '.join(voters)}.")
    if silent:
        told.append(f"Not reached: {', '.join(silent)}.")
    if lost:
        told.append(f"Following nobody: {', '.join(lost)} (rejoin.yml).")
    if len(primaries) == 1 and (further := topology.further(primaries[0])):
        told.append(f"{put_back(topology, further, primaries[0])} (rejoin.yml).")
    if suspended:
        told.append(
            f"{', '.join(suspended)} waits for no standby: synchronous replication is suspended, and comes back by"
            " itself once a standby streams (rejoin.yml)."
        )
    if corrupt:
        told.append(f"Corrupt pages: {', '.join(corrupt)} (docs/postgres.md, Corruption).")
    return Plan(refusal=" ".join(told), primary=primaries[0] if len(primaries) == 1 else "")
