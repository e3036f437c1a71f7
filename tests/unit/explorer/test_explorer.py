# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grammar, preconditions, draw, judgement and shrinking, without a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from explorer import advice, oracle, shrink
from explorer.acts import COMMANDS, FAULTS, Act, parse
from explorer.case import FOUND, Case, cases, load
from explorer.draw import LAST_TASK, Sequence, draw, halfway
from explorer.model import World, final, repairs, valid
from explorer.oracle import History, Row, Seen, Step
from hypothesis import given
from hypothesis import strategies as st

PAIR = World(("pg1", "pg2"))
TRIO = World(("pg1", "pg2", "pg3"))
PATRONI = World(("pg1", "pg2"), patroni=True, witnesses=("vote1",))


# -- acts


@pytest.mark.parametrize(
    "line",
    [
        "kill pg1",
        "cut pg1 client",
        "wait 8",
        "failover",
        "switchover pg2",
        "failover killed at 12+0.4",
        "rejoin beside failover",
        "switchover pg2 killed at 3+0 beside step3",
    ],
)
def test_a_line_is_an_act_and_back(line: str) -> None:
    assert str(parse(line)) == line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("explode pg1", "no such act"),
        ("kill", "kill takes 1 machines"),
        ("cut pg1", "cut takes 2 machines"),
        ("wait", "number of seconds"),
        ("kill pg1 killed at 3+0", "only a command"),
        ("step3 pg1", "too many words"),
        ("failover beside explode", "no such command beside"),
        ("", "no act"),
    ],
)
def test_what_is_no_act_is_named(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(line)


# -- preconditions


@pytest.mark.parametrize(
    ("lines", "possible"),
    [
        (["kill pg1", "start pg1"], True),
        (["kill pg1", "kill pg1"], False),
        (["start pg1"], False),
        (["freeze pg1", "hang pg1"], False),
        (["freeze pg1", "kill pg1", "start pg1", "hang pg1"], True),
        (["hang pg1", "kill pg1", "resume pg1"], False),
        (["cut pg1 pg2", "heal pg1 pg2"], True),
        (["cut pg2 pg1"], False),
        (["heal pg1 client"], False),
        (["isolate pg1", "failover", "start pg1"], True),
        (["failover", "start pg1"], False),
        (["fill pg1", "kill pg1"], False),
        (["fill pg1", "free pg1", "kill pg1"], True),
        (["kill pg1", "step3", "kill pg1"], True),
        (["kill pg9"], False),
        (["switchover pg9"], False),
        (["fill pg1", "cut pg1 client", "fill pg2"], False),
    ],
)
def test_what_may_follow_what(lines: list[str], possible: bool) -> None:
    assert valid([parse(line) for line in lines], PAIR) is possible


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([PAIR, TRIO, PATRONI]))
def test_a_seed_draws_the_same_possible_sequence(seed: int, length: int, world: World) -> None:
    sequence = draw(seed, length, world)
    assert sequence == draw(seed, length, world)
    assert len(sequence.acts) == length
    assert valid(sequence.acts, world)
    assert tuple(parse(str(act)) for act in sequence.acts) == sequence.acts


@given(st.integers(0, 10_000), st.sampled_from([PAIR, TRIO, PATRONI]))
def test_repairs_take_every_fault_away(seed: int, world: World) -> None:
    broken = final(draw(seed, 10, world).acts, world)
    assert valid(repairs(broken), broken)
    assert final(repairs(broken), broken) == world


def test_seeds_draw_every_act() -> None:
    drawn = {act.kind for seed in range(300) for act in draw(seed, 8, PAIR).acts}
    assert drawn == {*FAULTS, *COMMANDS} - {"status"}


def test_seeds_draw_kills_and_two_commands() -> None:
    acts = [act for seed in range(100) for act in draw(seed, 6, PAIR).acts if act.is_command]
    assert 0.1 < sum(act.killed_at > 0 for act in acts) / len(acts) < 0.4
    assert 0.02 < sum(bool(act.beside) for act in acts) / len(acts) < 0.25


def test_each_command_is_killed_halfway_at_tasks_from_its_first_to_near_its_last() -> None:
    base = Sequence((parse("kill pg1"), parse("failover"), parse("kill pg2")), closing="step3")
    made = halfway(base, 20)
    assert len(set(made)) == len(made) == 20
    for kind, place in (("failover", 1), ("step3", 3)):
        tasks = [sequence.acts[place].killed_at for sequence in made if len(sequence.acts) > place]
        tasks = [task for task in tasks if task]
        assert (len(tasks), tasks[0]) == (10, 1)
        assert LAST_TASK[kind] * 0.85 < tasks[-1] <= LAST_TASK[kind]
    assert {sequence.acts[0] for sequence in made} == {base.acts[0]}
    assert halfway(Sequence((parse("kill pg1"),)), 5) == []


# -- judgement


def look(
    primary: str, rows: dict[str, set[int]], *, servers: tuple[str, ...] = ("pg1", "pg2"), also: str = ""
) -> tuple[Seen, ...]:
    """Each server's numbers of the writer "first"; one that is not named is silent."""
    return tuple(
        Seen(
            name,
            0,
            writable=name in (primary, also),
            standby=name not in (primary, also),
            streams=name not in (primary, also),
            timeline=1,
            rows={"first": frozenset(rows[name])},
        )
        if name in rows
        else Seen(name, 0)
        for name in servers
    )


def history(*steps: tuple[str, tuple[Seen, ...]], rows: dict[int, float], **more: bool) -> History:
    """Steps end at 10, 20, …; rows are numbers and their moments."""
    return History(
        ("pg1", "pg2"),
        steps=[Step(parse(line), 10 * index, 10 * index + 10, seen) for index, (line, seen) in enumerate(steps)],
        acknowledged=[Row("first", number, moment) for number, moment in rows.items()],
        **more,
    )


HEALTHY = ("wait 0", look("pg1", {"pg1": {1}, "pg2": {1}}))


def test_two_that_accept_writes() -> None:
    seen = history(HEALTHY, ("step3", look("pg1", {"pg1": {1}, "pg2": {1}}, also="pg2")), rows={1: 1})
    found = oracle.judge(seen, "", finished=False)
    assert found is not None
    assert (found.kind, found.step) == ("two primaries", 1)
    assert "after step3" in found.message


def test_a_failover_excuses_only_what_the_standby_had_not() -> None:
    killed = ("kill pg1", look("", {"pg2": {1, 2}}))
    promoted = ("failover", look("pg2", {"pg2": {1, 2}}))
    late = ("rejoin", look("pg2", {"pg1": {1, 2, 4}, "pg2": {1, 2, 4}}))
    rows = {1: 1.0, 2: 12.0, 3: 13.0, 4: 35.0}
    assert oracle.judge(history(HEALTHY, killed, promoted, late, rows=rows), "", finished=True) is None
    # In synchronous mode nothing is.
    found = oracle.judge(history(HEALTHY, killed, promoted, late, rows=rows, sync=True), "", finished=True)
    assert found is not None
    assert found.kind == "rows lost"
    assert "1 of 4" in found.message
    # Nor is what the standby had shown.
    gone = ("rejoin", look("pg2", {"pg1": {1, 4}, "pg2": {1, 4}}))
    found = oracle.judge(history(HEALTHY, killed, promoted, gone, rows=rows), "", finished=True)
    assert found is not None
    assert "1 of 4" in found.message
    # Nor what was acknowledged after it.
    after = ("rejoin", look("pg2", {"pg1": {1, 2}, "pg2": {1, 2}}))
    found = oracle.judge(history(HEALTHY, killed, promoted, after, rows=rows), "", finished=True)
    assert found is not None
    assert found.kind == "rows lost"


@pytest.mark.parametrize("command", ["switchover", "step3", "start pg2"])
def test_no_other_change_excuses_anything(command: str) -> None:
    seen = history(HEALTHY, (command, look("pg2", {"pg1": {1}, "pg2": {1}})), rows={1: 1, 2: 5})
    found = oracle.judge(seen, "", finished=True)
    assert found is not None
    assert found.kind == "rows lost"


def test_a_failover_that_was_refused_excuses_nothing() -> None:
    seen = history(HEALTHY, ("failover", look("pg1", {"pg1": {1}, "pg2": {1}})), rows={1: 1, 2: 5})
    assert [row.number for row in oracle.lost(seen)] == [2]


def test_nor_does_it_where_another_act_changes_the_primary_later() -> None:
    silent, moved = look("", {"pg1": {1}, "pg2": {1}}), look("pg2", {"pg1": {1}, "pg2": {1}})
    seen = history(HEALTHY, ("failover", silent), ("step3", moved), rows={1: 1, 2: 5})
    assert [row.number for row in oracle.lost(seen)] == []
    seen.steps[1] = replace(seen.steps[1], code=2)
    assert [row.number for row in oracle.lost(seen)] == [2]
    # One that was killed may have promoted it all the same.
    seen.steps[1] = replace(seen.steps[1], act=parse("failover killed at 9+0"), code=-9)
    assert [row.number for row in oracle.lost(seen)] == []


def test_patroni_may_promote_by_itself_but_a_switchover_loses_nothing() -> None:
    moved = look("pg2", {"pg1": {1}, "pg2": {1}})
    rows = {1: 1.0, 2: 12.0}
    assert oracle.lost(history(HEALTHY, ("kill pg1", moved), rows=rows, patroni=True)) == []
    assert len(oracle.lost(history(HEALTHY, ("switchover", moved), rows=rows, patroni=True))) == 1


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (look("", {"pg1": {1}, "pg2": {1}}), "no primary in the end"),
        (look("pg1", {"pg1": {1}}), "no standby in the end"),
    ],
)
def test_the_end(seen: tuple[Seen, ...], kind: str) -> None:
    found = oracle.judge(history(HEALTHY, ("step3", seen), rows={1: 1}), "", finished=True)
    assert found is not None
    assert found.kind == kind
    assert oracle.judge(history(HEALTHY, ("step3", seen), rows={1: 1}), "", finished=False) is None


def test_synchronous_mode_must_come_back() -> None:
    seen = history(HEALTHY, rows={1: 1}, sync=True)
    assert oracle.judge(seen, "", finished=True) is None
    seen.suspended = ["pg1"]
    found = oracle.judge(seen, "", finished=True)
    assert found is not None
    assert found.kind == "no longer synchronous"


def test_rows_as_servers_show_them() -> None:
    assert oracle.numbers("first:1,2\nlast:") == {"first": frozenset({1, 2}), "last": frozenset()}


# -- what an operator does next

ANSIBLE = """
TASK [Check that the settings are good] ***
[ERROR]: Task failed: Action failed: {message}
Origin: /checkout/playbooks/switchover.yml:12:7

12   tasks: run playbooks/postgres.yml
         ^ column 7

fatal: [pg1]: FAILED! =>
    msg: '{message}'
"""


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("pg1 holds the data of an old primary, and pg2 took over: run playbooks/rejoin.yml.", "rejoin"),
        ("No server is primary: run failover.yml.", "failover"),
        ("pg1 is primary and answers: use switchover.yml, which loses nothing.", "switchover"),
        ("pg2 holds no cluster: run playbooks/postgres.yml.", "step3"),
        ("Start it, then ./run.py --yes --steps 3", "step3"),
        ("Run ./run.py rejoin", "rejoin"),
        ("Choose: run failover.yml -e postgres_failover_to=NAME, then rejoin.yml for the others.", "failover pg2"),
        ("To keep what pg2 has, run failover.yml -e postgres_failover_to=pg1.", "failover pg1"),
        ("More than one accepts writes: rejoin.yml with -e postgres_rejoin=pg1.", "rejoin pg1"),
        ("No standby to switch to: see status.yml and rejoin.yml.", "rejoin"),
        ("Something is wrong.", None),
    ],
)
def test_a_refusal_names_the_next_command(message: str, wanted: str | None) -> None:
    assert advice.following("status", ANSIBLE.format(message=message), [], "pg2") == wanted


def test_a_refused_command_is_not_its_own_advice() -> None:
    text = ANSIBLE.format(message="run playbooks/rejoin.yml, then playbooks/failover.yml")
    assert advice.following("rejoin", text, [], "pg1") == "failover"
    assert advice.following("status", text, ["rejoin"], "pg1") == "failover"


# -- shrinking


def needs(*lines: str) -> Callable[[shrink.Acts], bool]:
    """Fails as long as these acts are there, in this order."""

    def fails(acts: shrink.Acts) -> bool:
        left = iter(str(act) for act in acts)
        return all(line in left for line in lines)

    return fails


def test_shrinking_keeps_what_is_needed() -> None:
    lines = [
        "crash pg2",
        "kill pg1",
        "wait 8",
        "failover",
        "cut pg1 client",
        "kill pg2",
        "heal pg1 client",
        "start pg1",
    ]
    acts = tuple(map(parse, lines))
    found = shrink.shrink(acts, needs("kill pg1", "failover", "kill pg2"), lambda part: valid(part, PAIR), 40)
    assert [str(act) for act in found] == ["kill pg1", "failover", "kill pg2"]


def test_shrinking_makes_commands_whole_where_it_can() -> None:
    acts = tuple(map(parse, ["kill pg1", "failover killed at 4+1", "rejoin killed at 2+0"]))
    needed = needs("failover killed at 4+1")

    def fails(candidate: shrink.Acts) -> bool:
        return needed(candidate) and any(act.kind == "rejoin" for act in candidate)

    found = shrink.shrink(acts, fails, lambda part: valid(part, PAIR), 40)
    assert [str(act) for act in found] == ["failover killed at 4+1", "rejoin"]


@given(st.integers(0, 500), st.integers(0, 12))
def test_shrinking_is_bounded_and_asks_nothing_twice(seed: int, runs: int) -> None:
    acts, asked = draw(seed, 8, PAIR).acts, []

    def fails(candidate: shrink.Acts) -> bool:
        asked.append(candidate)
        return len(asked) % 3 == 0

    found = shrink.shrink(acts, fails, lambda part: valid(part, PAIR), runs)
    assert len(asked) == len(set(asked)) <= runs
    assert found == acts or found in asked


# -- cases as files


def test_a_case_is_a_file_and_back(tmp_path: Path) -> None:
    sequence = Sequence((parse("kill pg1"), parse("failover killed at 3+0.5")), sync=True, closing="step3")
    case = Case("cut", sequence, "two primaries: …", "playbooks/failover.yml", seed=7)
    path = tmp_path / "cut.yml"
    path.write_text(case.text(), encoding="utf-8")
    assert load(path) == case
    path.write_text(replace(case, seed=None).text(), encoding="utf-8")
    assert load(path).seed is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acts: []", "a case has acts"),
        ("acts: [explode pg1]", "no such act"),
        ("acts: [kill pg1]\nwhen: now", "not known: when"),
    ],
)
def test_a_broken_case_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"broken.yml.*{message}"):
        load(path)


def test_every_named_case_is_possible() -> None:
    for case in cases(FOUND):
        servers = tuple(f"pg{number}" for number in range(1, case.sequence.servers + 1))
        witnesses = ("vote1",) if case.sequence.patroni and len(servers) == 2 else ()
        assert valid(case.sequence.acts, World(servers, case.sequence.patroni, witnesses)), case.name
        assert case.diagnosis, f"{case.name} says nothing of its cause"


def test_acts_know_their_commands() -> None:
    assert parse("rejoin beside failover").commands == ("rejoin", "failover")
    assert Act("kill", ("pg1",)).commands == ()
