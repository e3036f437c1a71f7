# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the commands that change who is primary, by what servers say of themselves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_topology import (
    Epoch,
    Plan,
    Topology,
    permitted,
    plan_failover,
    plan_rejoin,
    plan_start,
    plan_status,
    plan_switchover,
)

STATES = {"primary": "in production", "standby": "in archive recovery", "stopped": "in production"}


def server(name: str, role: str, timeline: int | None = 1, lsn: int | None = 100, **changes: Any) -> dict[str, Any]:
    """What a server says of itself, as far as a plan is made of it."""
    state = changes.pop("state", STATES.get(role))
    return {
        "name": name,
        "role": role,
        "version": "15",
        "configured": role != "absent",
        "timeline": timeline,
        "lsn_number": lsn,
        "control": {"system_identifier": changes.pop("system", "7"), "state": state} if state else None,
        "standby_signal": role == "standby",
        "following": False,
        "standbys": [],
        "epoch": None,
        **changes,
    }


def epoch(number: int, name: str, timeline: int, covers: int | None = None, system: str = "7") -> Epoch:
    return Epoch(
        number=number,
        server=name,
        timeline=timeline,
        covers=covers or timeline,
        moment="2026-11-27T10:00:00Z",
        system_identifier=system,
    )


def streams(name: str, lag: int = 0) -> dict[str, Any]:
    return {"name": name, "state": "streaming", "lag_bytes": lag}


def of(*states: dict[str, Any], members: int = 0, records: tuple[Epoch, ...] = ()) -> Topology:
    """Servers that answered; members: how many there are, if some do not."""
    names = [f"pg{number}" for number in range(1, (members or len(states)) + 1)]
    return Topology(states, names, records)


def done(plan: Plan) -> list[tuple[str, str]]:
    assert plan.refusal == ""
    return [(act.act, act.server) for act in plan.acts]


DEMOTED = {"standby_signal": True, "state": "shut down"}
PAIR = (server("pg1", "primary", standbys=[streams("pg2")]), server("pg2", "standby", following=True))
TORN = (server("pg1", "stopped", 1), server("pg2", "stopped", 2))


def test_two_that_were_primaries_are_not_started_by_a_guess() -> None:
    """A failover, then a power cut of both: each would be a primary, and nobody recorded which one was the last."""
    plan = plan_start(of(*TORN))
    assert "pg2 and pg1 were all primaries" in plan.refusal
    assert "failover.yml -e postgres_failover_to=NAME" in plan.refusal
    assert permitted(of(*TORN), plan) == ""
    assert "postgres_failover_to=NAME" in plan_failover(of(*TORN)).refusal


def test_record_decides_which_of_two_primaries_was_the_last() -> None:
    """The other one is left stopped, and the command that brings it back is named."""
    last = epoch(2, "pg2", 2)
    torn = of(TORN[0], {**TORN[1], "epoch": last})
    plan = plan_start(torn)
    assert done(plan) == [("start_alone", "pg2"), ("leave", "pg1")]
    assert plan.after == "pg1 holds the data of an old primary, and pg2 took over: run playbooks/rejoin.yml."
    assert permitted(torn, plan) == "pg2"
    assert done(plan_failover(torn))[:3] == [("record", "pg2"), ("record", "pg1"), ("fence", "pg1")]


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ((epoch(1, "pg1", 1),), "promoted since, and not recorded"),
        ((epoch(2, "pg2", 2), epoch(2, "pg1", 2)), "two records of the same number"),
        ((epoch(2, "pg2", 2, system="other"),), "of other databases"),
        ((epoch(2, "pg3", 2),), "of a server that is none of the two"),
    ],
)
def test_record_that_does_not_decide(records: tuple[Epoch, ...], why: str) -> None:
    assert "were all primaries" in plan_start(of(*TORN, records=records)).refusal, why


def test_record_of_other_databases_hides_none_of_these() -> None:
    """A machine that came from another deployment: its number is higher, and about something else."""
    foreign = epoch(9, "pg2", 1, system="other")
    old = {**TORN[0], "epoch": epoch(2, "pg3", 2)}
    topology = of(old, server("pg2", "empty", None, None, epoch=foreign), members=2)
    assert "pg3 became the primary after pg1" in plan_start(topology).refusal
    again = of({**TORN[0], "epoch": epoch(2, "pg1", 1)}, server("pg2", "empty", None, None, epoch=foreign))
    assert again.next_epoch("pg1", 1, "now")["number"] == 10, "else that machine keeps its own"


def test_promotions_to_the_same_timeline() -> None:
    """Only one of the two was recorded: the other one may have been later."""
    torn = of(server("pg1", "stopped", 2), server("pg2", "stopped", 2, epoch=epoch(2, "pg2", 2)))
    assert "were all primaries" in plan_start(torn).refusal


def test_last_primary_starts_alone() -> None:
    pair = of(server("pg1", "stopped", epoch=epoch(1, "pg1", 1)), server("pg2", "standby"))
    assert done(plan_start(pair)) == [("start_alone", "pg1")]
    asleep = of(server("pg1", "stopped"), server("pg2", "stopped", standby_signal=True, state="in archive recovery"))
    assert done(plan_start(asleep)) == [("start_alone", "pg1"), ("start", "pg2")]


def test_a_failover_that_was_cut_off_before_its_promotion() -> None:
    """It has recorded whom it promotes: the old primary is not started under its hands."""
    promised = epoch(2, "pg2", 2)
    pair = of(server("pg1", "stopped", epoch=promised), server("pg2", "standby", epoch=promised))
    assert "A failover to pg2 was cut off before it promoted it: run playbooks/failover.yml" in plan_start(pair).refusal
    plan = plan_failover(pair)
    assert plan.primary == "pg2" and pair.to_be(plan) == 3  # nobody knows how far the first attempt came
    running = of({**PAIR[0], "epoch": promised}, {**PAIR[1], "epoch": promised})
    assert plan_start(running).refusal == "" and plan_start(running).primary == "pg1"


def test_boot_guard_decides_while_somebody_is_silent() -> None:
    alone = of(server("pg1", "stopped"), members=2)
    plan = plan_start(alone)
    assert done(plan) == [("start_guarded", "pg1")]
    assert permitted(alone, plan) == ""


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (of(server("pg1", "stopped"), server("pg2", "primary", 2)), "run playbooks/rejoin.yml"),
        (of(server("pg1", "stopped"), server("pg2", "standby", 2)), "Run playbooks/failover.yml"),
        (of(server("pg1", "stopped"), server("pg2", "empty", None, None), records=(epoch(2, "pg2", 2),)), "failover"),
        (of(server("pg1", "primary"), server("pg2", "primary")), "both accept writes"),
        (of(server("pg1", "unresponsive", message="no answer"), server("pg2", "standby")), "failover.yml if it stays"),
        (of(server("pg1", "empty", None, None), server("pg2", "standby")), "pg1 is empty and meant to be the primary"),
        (of(server("pg1", "empty", None, None), members=2), "pg2 does not answer and could hold some"),
        (of(server("pg2", "empty", None, None)), "none of postgres_common_members"),
        (of(server("pg1", "empty", None, None, patroni=True)), "restore a backup"),
        (of(server("pg1", "primary"), server("pg2", "stopped", rewinding=True)), "run playbooks/rejoin.yml"),
        (of(server("pg1", "stopped", restoring=True), server("pg2", "standby")), "run the restore again"),
        (of(server("pg1", "empty", None, None, restoring=True), server("pg2", "standby")), "run the restore again"),
        (of(server("pg1", "empty", None, None, restoring=True)), "run the restore again"),
    ],
)
def test_start_refuses(topology: Topology, words: str) -> None:
    plan = plan_start(topology, initial="pg1" if "pg1" in topology.members and "none of" not in words else "pg9")
    assert words in plan.refusal


def test_first_start() -> None:
    empty = of(server("pg1", "absent", None, None), server("pg2", "absent", None, None))
    assert done(plan_start(empty, "pg1")) == [("create", "pg1"), ("copy", "pg2")]
    assert permitted(empty, plan_start(empty, "pg1")) == "pg1"


def test_standbys_alone_are_started_and_the_run_fails() -> None:
    both = of(*(server(name, "stopped", standby_signal=True) for name in ("pg1", "pg2")))
    plan = plan_start(both)
    assert done(plan) == [("start", "pg1"), ("start", "pg2")]
    assert "switchover.yml again" in plan.after


def test_restart_of_a_primary_is_permitted_only_when_all_answered() -> None:
    assert permitted(of(*PAIR), plan_start(of(*PAIR))) == "pg1"
    alone = of(PAIR[0], members=2)
    assert permitted(alone, plan_start(alone)) == ""


def test_switchover_acts_in_order() -> None:
    plan = plan_switchover(of(*PAIR))
    assert plan.summary == "Stop pg1, promote pg2, make pg1 its standby."
    assert done(plan) == [
        ("checkpoint", "pg1"),
        ("checkpoint", "pg2"),
        ("demote", "pg1"),
        ("promote", "pg2"),
        ("record", "pg2"),
        ("record", "pg1"),
        ("start", "pg1"),
        ("follow", "pg1"),
    ]


THIRD = server("pg3", "standby", lsn=95)
LAGS = [streams("pg2"), streams("pg3")]


@pytest.mark.parametrize(
    ("topology", "to", "words"),
    [
        (of(server("pg1", "stopped", **DEMOTED), PAIR[1]), "", "Go on with a switchover"),
        (of(server("pg1", "stopped", state="shut down"), PAIR[1]), "", "Go on with a switchover"),
        (of(server("pg1", "standby"), PAIR[1]), "pg2", "Go on with a switchover"),
        (of(server("pg1", "stopped", **DEMOTED), server("pg2", "primary", 2)), "pg2", "starting pg1 as its standby"),
        (of(*PAIR), "pg1", "pg1 is the primary already"),
        (
            of(server("pg1", "primary", standbys=LAGS), server("pg2", "standby", lsn=90), THIRD),
            "",
            "promote pg3",
        ),
    ],
)
def test_switchover_goes_on(topology: Topology, to: str, words: str) -> None:
    plan = plan_switchover(topology, to)
    assert plan.refusal == ""
    assert words in plan.summary


def test_only_the_primary_that_a_switchover_stopped_is_put_back() -> None:
    """One that goes on puts nobody back: the first that it stops may be a standby with old data."""
    assert plan_switchover(of(*PAIR)).back == "pg1"
    asleep = server("pg1", "stopped", lsn=10, standby_signal=True, state="in archive recovery")
    plan = plan_switchover(of(asleep, PAIR[1], server("pg3", "stopped", **DEMOTED)))
    assert plan.servers("demote") == ["pg1", "pg3"]
    assert plan.back == ""


def test_promotion_that_may_still_happen() -> None:
    """It was asked for, and its command was killed: no other server may be the primary while that one runs."""
    asked = {**PAIR[1], "epoch": epoch(2, "pg2", 2)}
    refusal = plan_switchover(of(server("pg1", "standby"), asked), "pg1").refusal
    assert "run switchover.yml -e postgres_switchover_to=pg2, or failover.yml" in refusal
    plan = plan_failover(of(server("pg1", "standby"), asked), "pg1", force=True)
    assert done(plan) == [("fence", "pg2")]
    assert plan.again is True
    fenced = server("pg2", "stopped", standby_signal=True, state="in archive recovery", epoch=epoch(2, "pg2", 2))
    plan = plan_failover(of(server("pg1", "standby"), fenced), "pg1", force=True)
    assert plan.again is False
    assert ("promote", "pg1") in done(plan)


@pytest.mark.parametrize(
    ("topology", "to", "words"),
    [
        (of(server("pg1", "stopped"), PAIR[1]), "", "may not have everything that pg1 has"),
        (of(server("pg1", "primary", standbys=[streams("pg2", 1 << 30)]), PAIR[1]), "", "bytes behind pg1"),
        (of(server("pg1", "primary"), PAIR[1]), "", "pg2 does not stream from pg1"),
        (of(server("pg1", "primary"), server("pg2", "primary")), "", "both accept writes"),
        (of(PAIR[0], members=2), "pg2", "Not every server was reached (pg2)"),
        (of(*PAIR), "pg9", "pg9 is no server of this deployment: pg1 and pg2"),
        (of(server("pg1", "primary"), server("pg2", "stopped", rewinding=True)), "pg2", "No standby to switch to"),
        (of(server("pg1", "stopped", **DEMOTED), PAIR[1], server("pg3", "standby", lsn=101)), "pg2", "that pg3 has"),
        (of(server("pg1", "stopped", **DEMOTED), PAIR[1], server("pg3", "standby", 2, 50)), "pg2", "that pg3 has"),
        (of(server("pg1", "stopped", **DEMOTED), PAIR[1], server("pg3", "empty", None, None)), "", "that pg3 has"),
    ],
)
def test_switchover_refuses(topology: Topology, to: str, words: str) -> None:
    assert words in plan_switchover(topology, to).refusal


def test_failover_of_a_silent_primary() -> None:
    plan = plan_failover(Topology([PAIR[1]], ["pg1", "pg2"]))
    assert plan.summary == "Fence pg1, then promote pg2."
    assert done(plan) == [("record", "pg2"), ("power_off", "pg1"), ("promote", "pg2"), ("record", "pg2")]
    assert plan.again is False


def test_failover_asks_again_after_the_fence_if_several_could_take_over() -> None:
    """A primary that is fenced may have sent more to one of them until then."""
    three = Topology([PAIR[1], THIRD], ["pg1", "pg2", "pg3"])
    plan = plan_failover(three)
    assert done(plan) == [("power_off", "pg1")]
    assert plan.again is True
    after = Topology([PAIR[1], {**THIRD, "lsn_number": 120}], ["pg1", "pg2", "pg3"])
    final = plan_failover(after, fenced=["pg1"])
    assert final.primary == "pg3"
    assert final.again is False
    assert final.servers("power_off") == ["pg1"], "it may have come back before the record"


def test_failover_starts_stopped_standbys_before_it_ranks_them() -> None:
    """What a stopped standby received last is not in its control file."""
    asleep = server("pg2", "stopped", lsn=10, standby_signal=True, state="in archive recovery")
    plan = plan_failover(Topology([asleep], ["pg1", "pg2"]))
    assert done(plan) == [("power_off", "pg1"), ("start", "pg2")]
    assert plan.again is True


def test_failover_in_synchronous_mode_needs_every_other_standby() -> None:
    """With three servers a commit waited for one of two standbys: the one that is silent may have been that one."""
    mode = {"synchronous_standby_names": 'FIRST 1 ("pg1", "pg3")', "epoch": epoch(1, "pg1", 1)}
    left = of({**PAIR[1], **mode}, members=3)
    assert "pg3 may have acknowledged ones that pg2 has not" in plan_failover(left).refusal
    assert done(plan_failover(left, force=True))
    assert done(plan_failover(of({**PAIR[1], "epoch": epoch(1, "pg1", 1)}, members=3)))
    assert done(plan_failover(of({**PAIR[1], **mode}, THIRD, members=3)))
    asleep = server("pg3", "stopped", standby_signal=True, state="in archive recovery")
    assert ("start", "pg3") in done(plan_failover(of({**PAIR[1], **mode}, asleep, members=3)))
    assert "pg3 may have" in plan_failover(of({**PAIR[1], **mode}, asleep, members=3), "pg2").refusal
    assert done(plan_failover(of({**PAIR[1], **mode}, members=2)))


def test_failover_does_not_wait_for_standbys_that_are_gone() -> None:
    waits = server("pg2", "standby", synchronous_standby_names='FIRST 1 ("pg1")')
    assert ("suspend_sync", "pg2") in done(plan_failover(Topology([waits], ["pg1", "pg2"])))
    last = server("pg1", "stopped", synchronous_standby_names='FIRST 1 ("pg2")')
    acts = [act for act, _server in done(plan_failover(Topology([last], ["pg1", "pg2"])))]
    assert acts.index("suspend_sync") < acts.index("start_alone")


@pytest.mark.parametrize(
    ("topology", "options", "words"),
    [
        (of(*PAIR), {}, "use switchover.yml"),
        (of(*PAIR), {"to": "pg1", "force": True}, "is the primary already"),
        (of(server("pg1", "primary"), server("pg2", "primary")), {}, "both accept writes"),
        (
            Topology([server("pg1", "empty", None, None)], ["pg1", "pg2"]),
            {},
            "pg1 is empty, pg2 is silent. Start a mach",
        ),
        (
            Topology([server("pg2", "stopped", rewinding=True)], ["pg1", "pg2"]),
            {},
            "pg1 is silent, pg2 holds what a re",
        ),
        (of(server("pg1", "unresponsive"), server("pg2", "unresponsive")), {}, "pg1 and pg2 runs, but answers nobody"),
        (of(*PAIR), {"to": "pg9"}, "no server of this deployment"),
        (of(server("pg1", "stopped", 2), PAIR[1]), {}, "pg1 has more data than pg2"),
        (Topology([{**PAIR[1], "epoch": epoch(2, "pg1", 2)}], ["pg1", "pg2"]), {}, "pg1 became the primary after pg2"),
        (of(server("pg1", "stopped", 1), server("pg2", "stopped", 2)), {"to": "pg1"}, "pg2 has more data than pg1"),
    ],
)
def test_failover_refuses(topology: Topology, options: dict[str, Any], words: str) -> None:
    assert words in plan_failover(topology, **options).refusal


def test_person_chooses_between_two_that_were_primaries() -> None:
    plan = plan_failover(of(*TORN), to="pg2")
    assert done(plan) == [
        ("record", "pg2"),
        ("record", "pg1"),
        ("fence", "pg1"),
        ("start_alone", "pg2"),
        ("record", "pg2"),
        ("record", "pg1"),
    ]


def test_older_timeline_is_recorded_before_it_is_promoted() -> None:
    """The record shows that newer timelines were given up: their numbers may come again."""
    pair = of(server("pg1", "standby", 1), server("pg2", "standby", 2))
    steps = done(plan_failover(pair, to="pg1", force=True))
    assert steps.index(("record", "pg1")) < steps.index(("promote", "pg1"))
    told = pair.next_epoch("pg1", 1, "now")
    assert (told["number"], told["covers"]) == (1, 2)


GOES_ON = "run playbooks/postgres_major_upgrade.yml -e postgres_major_to=15, which goes on where it was cut off."


def old(name: str, role: str, version: str = "13", timeline: int | None = 1, **changes: Any) -> dict[str, Any]:
    return server(name, role, timeline, version=version, **changes)


@pytest.mark.parametrize(
    ("states", "only", "words"),
    [
        ([server("pg1", "stopped"), server("pg2", "primary")], "", "Make pg1 follow pg2"),
        ([server("pg1", "standby", following=True), server("pg2", "primary")], "", "follows pg2 already"),
        ([old("pg1", "stopped"), server("pg2", "primary", upgrading=True)], "", GOES_ON),
        # pg_upgrade begins with the first timeline: a newer one is no reason to keep the old data.
        ([old("pg1", "stopped", timeline=7), server("pg2", "primary")], "", GOES_ON),
        ([old("pg1", "standby", following=True), server("pg2", "primary")], "pg1", GOES_ON),
        ([old("pg1", "primary"), server("pg2", "primary")], "pg1", GOES_ON),
        ([old("pg1", "stopped"), server("pg2", "primary"), server("pg3", "stopped")], "", "the primary pg2 has 15"),
        ([old("pg1", "stopped"), server("pg2", "primary"), server("pg3", "stopped")], "pg3", "Make pg3 follow pg2"),
        ([old("pg1", "primary"), server("pg2", "stopped")], "", "run pg_dropcluster 15 main on pg2"),
        ([old("pg1", "absent", "0", None), server("pg2", "primary")], "", "already"),
        (
            [old("pg1", "absent", "0", None), server("pg2", "primary")],
            "pg1",
            "pg1 holds no cluster: run playbooks/post",
        ),
        ([server("pg1", "stopped", 2), server("pg2", "primary")], "", "is on a newer timeline"),
        ([server("pg1", "stopped", 2), server("pg2", "primary")], "pg1", "Make pg1 follow pg2"),
        ([old("pg1", "stopped"), server("pg2", "stopped")], "", "No server is primary"),
        ([server("pg1", "primary"), server("pg2", "primary")], "", "More than one server accepts writes"),
        ([server("pg1", "primary"), server("pg2", "primary")], "pg1", "Make pg1 follow pg2"),
        ([server("pg2", "primary", epoch=epoch(3, "pg1", 4))], "", "pg1 became the primary after pg2"),
        ([server("pg2", "primary")], "pg1", "pg1 was not reached"),
        ([server("pg2", "primary")], "pg9", "no server of this deployment"),
    ],
)
def test_rejoin(states: list[dict[str, Any]], only: str, words: str) -> None:
    plan = plan_rejoin(Topology(states, ["pg1", "pg2", "pg3"]), only)
    assert words in (plan.refusal or plan.summary)
    assert bool(plan.refusal) is ("Make " not in words and "already" not in words)


def test_rejoin_brings_synchronous_replication_back() -> None:
    """Also when nobody is lost: a copy that step 3 made streams already."""
    primary = server("pg1", "primary", sync_suspended=True, standbys=[streams("pg2")])
    assert ("resume_sync", "pg1") in done(plan_rejoin(of(primary, PAIR[1])))


def test_more_than_the_primary_on_its_own_timeline_is_not_given_up_unasked() -> None:
    """A primary sends what is on its disk: a standby has more only where that was put back to an earlier state."""
    primary = server("pg1", "primary", lsn=0x100)
    ahead = server("pg2", "standby", lsn=0x180, replay_lsn="0/180")
    refusal = plan_rejoin(of(primary, ahead)).refusal
    assert "pg2 has more of timeline 1 than pg1, whose disk was put back" in refusal
    assert "postgres_rejoin=pg2" in refusal and "postgres_failover_to=pg2 -e postgres_failover_force=true" in refusal
    assert "pg2 has more of timeline 1 than pg1" in plan_status(of(primary, ahead)).refusal
    assert ("rejoin", "pg2") in done(plan_rejoin(of(primary, ahead), "pg2"))
    assert ("promote", "pg2") in done(plan_failover(of(primary, ahead), "pg2", force=True))
    # Received, but not replayed, may be a part of a record that the primary never finished.
    for harmless in ({"replay_lsn": "0/FF"}, {"replay_lsn": None}, {"timeline": 2}, {"system": "8"}):
        state = server("pg2", "standby", **{"lsn": 0x180, "replay_lsn": "0/180", **harmless})
        assert "has more of timeline" not in plan_rejoin(of(primary, state)).refusal, harmless
    streaming = {**ahead, "following": True}
    assert "has more" not in plan_status(of(primary, streaming)).refusal, "asked a moment later"


def test_silent_server_is_not_brought_back() -> None:
    plan = plan_rejoin(Topology([server("pg2", "primary")], ["pg1", "pg2"]))
    assert plan.after.startswith("pg1 does not answer, and is not brought back")


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (
            of(server("pg1", "stopped"), PAIR[1]),
            "run postgres.yml, which starts pg1 with all that it has; else failover.",
        ),
        (of(server("pg1", "stopped", **DEMOTED), PAIR[1]), "run switchover.yml again"),
        (of(server("pg1", "stopped", **{**DEMOTED, "state": "in production"}), PAIR[1]), ": run failover.yml."),
        (of(server("pg1", "stopped", patroni=True), {**PAIR[1], "patroni": True}), ": run failover.yml."),
        (of(PAIR[1], members=2), ": run failover.yml."),
    ],
)
def test_the_command_that_loses_the_least(topology: Topology, words: str) -> None:
    """A failover gives up what the stopped primary has and no standby."""
    assert words in plan_status(topology).refusal
    assert words in plan_rejoin(topology).refusal


def test_killed_server_that_is_marked_as_a_standby() -> None:
    """Where it ended is not known: a promotion that has to wait for that would only fail, writes stopped."""
    killed = server("pg3", "stopped", standby_signal=True)
    assert "pg3 was fenced" in plan_switchover(of(*PAIR, killed)).refusal
    assert "everything that pg3 has" in plan_switchover(of(server("pg1", "standby"), PAIR[1], killed), "pg2").refusal
    assert "run switchover.yml first" in plan_rejoin(of(*PAIR), "pg1").refusal


def test_status() -> None:
    assert plan_status(of(*PAIR)).refusal == ""
    wrong = plan_status(Topology([server("pg2", "standby", checksum_failures=1)], ["pg1", "pg2"]), ["vote1"]).refusal
    for words in (
        "No server accepts writes",
        "Not voting: vote1.",
        "Not reached: pg1.",
        "Following nobody: pg2",
        "Corrupt",
    ):
        assert words in wrong
    suspended = plan_status(of({**PAIR[0], "sync_suspended": True}, PAIR[1])).refusal
    assert "synchronous replication is suspended" in suspended


def test_plan_for_ansible() -> None:
    """Two plans differ in their digest when an act, its server or the end differs."""
    there, back = plan_switchover(of(*PAIR)).as_dict(), plan_switchover(of(*PAIR), "pg1").as_dict()
    assert there["on"]["demote"] == ["pg1"]
    assert there["on"]["fence"] == []
    assert there["steps"][2] == "pg1: stop, and mark as a standby"
    assert there["digest"] != back["digest"]
    assert there["digest"] == plan_switchover(of(*PAIR)).as_dict()["digest"]
