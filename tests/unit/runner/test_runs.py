# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs of run.py in a checkout of their own: see conftest."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import NODES, PROJECT, STEPS, Checkout, wait_for

from runner import dry_run, lock


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def sleeping(checkout: Checkout, step: str) -> int:
    """Pid of the command that the step's last task runs."""
    file = checkout.root / f"{step}.pid"
    return int(wait_for(lambda: file.exists() and file.read_text()))


@pytest.mark.parametrize(("answer", "says"), [("n\n", "declined"), ("what\nNO\n", "declined"), ("", "nobody answered")])
def test_declined_before_anything_is_installed(checkout: Checkout, answer: str, says: str) -> None:
    done = checkout.run(stdin=answer)
    assert done.returncode == 3
    assert done.stderr.startswith(f"stopped: {says}\n")
    assert "nothing was changed" in done.stderr
    assert "Are you sure want to start deployment? [y/n] > " in done.stdout
    assert not (checkout.root / ".installed").exists()
    assert not (checkout.root / ".deploy/journal.json").exists()


def test_a_run(checkout: Checkout) -> None:
    (checkout.root / "playbooks/cluster.yml").open("a").write(
        "    - name: Tell sesame-open-42\n      ansible.builtin.debug: {msg: sesame-open-42}\n"
    )
    first = checkout.events("--yes", "--steps", "1,4")
    assert [event["step"] for event in first if event["event"] == "step.started"] == [1, 4]
    phases = [event["phase"] for event in first if event["event"] == "phase.started"]
    assert [phase for phase in phases if phase != "prepare"] == ["check", "apply", "verify"] * 2
    assert {event["host"] for event in first if event["event"] == "task.changed"} == {"pg1"}
    assert first[-1]["event"] == "run.finished"
    assert first[-1]["changed"] == 3  # what was done ahead too
    assert checkout.journal()["steps"]["4"]["changed"] == 2
    (made,) = (event for event in first if event["event"] == "run.report")
    assert made["credentials"] == [
        {"title": "Odoo login admin, password", "path": ".deploy/secrets/odoo_admin_password"}
    ]
    assert [check["title"] for check in made["checks"]] == [
        "What the step wrote is there [cluster]",
        "What the step wrote is there [odoo]",
    ]
    assert "sesame" not in json.dumps(first)
    log = checkout.root / ".deploy/log/step-1-cluster.log"
    assert "********" in log.read_text()
    assert "sesame" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert checkout.journal()["steps"]["4"]["state"] == "verified"
    assert checkout.journal()["deployment"] == "shop"


def test_a_step_fails(checkout: Checkout) -> None:
    done = checkout.run("--yes", "--steps", "3-5", "-e", "a=b c", BREAK_postgres="1")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'stopped: step 3 "Starts Postgresql Master-Slave VMs" failed in check: '
        "pg1: Look at postgres: postgres is not as it should be",
        "  log:   .deploy/log/step-3-postgres.log",
        "  go on: ./run.py --yes --steps 3-5 -e 'a=b c'",
    ]
    assert checkout.journal()["steps"]["3"]["state"] == "failed"


def test_a_rescued_failure_is_not_the_cause(checkout: Checkout) -> None:
    (checkout.root / "playbooks/cluster.yml").write_text(
        "- hosts: pg1:nginx1\n  gather_facts: false\n  tasks:\n"
        "    - block: [{ansible.builtin.fail: {msg: first}}]\n      rescue: [{ansible.builtin.fail: {msg: second}}]\n"
        "      when: inventory_hostname == 'pg1'\n"
        "    - block: [{ansible.builtin.fail: {msg: third}}]\n      rescue: [{ansible.builtin.debug: {msg: fourth}}]\n"
    )
    events = checkout.events("--yes", "--steps", "1")
    assert [(event["host"], event["message"]) for event in events if event["event"] == "task.failed"] == [
        ("pg1", "second")
    ]
    assert [event["message"] for event in events if event["event"] == "note"] == ["fourth"]
    assert events[-1]["message"].endswith("pg1: ansible.builtin.fail: second")


def test_a_verification_fails(checkout: Checkout) -> None:
    done = checkout.run("--yes", "--steps", "3,5", UNVERIFIED="1")
    assert done.returncode == 6
    assert "the standby does not stream" in done.stderr
    assert "log:   .deploy/log/step-3-postgres.verify.log" in done.stderr
    assert "go on: ./run.py --yes --steps 3,5" in done.stderr


def test_a_step_is_verified_beside_the_next_ones_playbook(checkout: Checkout) -> None:
    events = checkout.events("--yes", "--steps", "3-5", BESIDE_postgres="odoo", TAKE_odoo="8")
    told = [(event["event"], event["step"]) for event in events if event["event"] in ("step.started", "step.finished")]
    assert told[:3] == [("step.started", 3), ("step.started", 4), ("step.finished", 3)]
    assert told.index(("step.finished", 4)) < told.index(("step.finished", 5))
    assert {entry["state"] for entry in checkout.journal()["steps"].values()} == {"verified"}


def begun(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Which steps began and were verified, in order."""
    return [
        (event["event"].removeprefix("step."), event["step"]) for event in events if event["event"].startswith("step.")
    ]


def test_independent_steps_run_side_by_side(checkout: Checkout) -> None:
    """PostgreSQL begins with the embedded cluster, Odoo after both, and the report is in the steps' order."""
    events = checkout.events("--yes", TAKE_cluster="3", TAKE_postgres="25")
    order = begun(events)
    assert order[:3] == [("started", 1), ("started", 3), ("preparing", 4)]
    assert order.index(("prepared", 4)) < order.index(("started", 4))
    assert order.count(("prepared", 4)) == 2  # its image made, and brought into the cluster
    assert order.index(("preparing", 5)) < order.index(("prepared", 5)) < order.index(("started", 5))
    assert order.index(("started", 2)) < order.index(("started", 4))
    applied = [event["step"] for event in events if event["event"] == "phase.started" and event["phase"] == "verify"]
    assert applied.index(3) < applied.index(4) < applied.index(5)
    (made,) = (event for event in events if event["event"] == "run.report")
    assert [check["title"].split("[")[1] for check in made["checks"]] == [f"{step}]" for step in STEPS]
    assert "s in all; * is what the run waited for" in checkout.run("timeline").stdout


def test_what_is_in_place_is_not_prepared(checkout: Checkout) -> None:
    """A run that has nothing to do asks once; a step that failed is prepared again."""
    checkout.events("--yes")
    again = checkout.events("--yes")
    assert not [event for event in again if event["event"] == "step.preparing"]
    assert again[-1]["changed"] == 0
    checkout.run("--yes", BREAK_odoo="1")
    assert [event["step"] for event in checkout.events("--yes") if event["event"] == "step.preparing"] == [4]


def test_a_failure_ahead_is_the_steps(checkout: Checkout) -> None:
    """Nothing goes on beside it; the log that is named has it, and the next run does it again."""
    with checkout.running("--yes", TAKE_cluster="60", TAKE_postgres="60", BREAK_odoo_image="1") as process:
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert (
        'step 4 "Deploys Odoo app on Minikube" failed in prepare: pg1: Look at odoo_image: odoo_image is not' in output
    )
    assert "  log:   .deploy/log/ahead-odoo_image.log" in output
    assert output.splitlines()[-1] == "  go on: ./run.py --yes"
    assert checkout.journal()["steps"]["4"]["state"] == "failed"
    assert checkout.run("--yes").returncode == 0


def test_addresses_of_a_cluster_that_is_not_ours_are_waited_for(checkout: Checkout) -> None:
    (checkout.root / ".deploy/cluster.json").write_text(
        '{"kind": "context", "context": "mine", "reason": "it is named"}'
    )
    events = checkout.events("--yes", "--steps", "1,3", TAKE_cluster="1")
    assert events[-1]["event"] == "run.finished", events[-1]
    spans = {(span["step"], span["phase"]): span for span in checkout.journal()["timeline"]}
    assert spans[3, "apply"]["began"] >= spans[1, "apply"]["ended"]


def test_a_step_that_fails_stops_what_runs_beside_it(checkout: Checkout) -> None:
    """Cleaned up as by Ctrl-C, and named as stopped; the command that goes on has all that is not verified."""
    with checkout.running("--yes", "--steps", "1,3", TAKE_cluster="60", BREAK_postgres="1") as process:
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert 'step 3 "Starts Postgresql Master-Slave VMs" failed in check' in output
    assert output.splitlines()[-1] == "  go on: ./run.py --yes --steps 1,3"
    assert checkout.journal()["steps"]["1"]["error"] == "stopped: another step failed"
    file = checkout.root / "cluster.pid"
    assert not file.exists() or wait_for(lambda: gone(int(file.read_text())))


def test_control_c_ends_all_that_is_at_work(checkout: Checkout) -> None:
    with checkout.running("--yes", "--steps", "1,3", TAKE_cluster="60", TAKE_postgres="60") as process:
        commands = sleeping(checkout, "cluster"), sleeping(checkout, "postgres")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 130
    assert 'step 1 "Starts Minikube cluster" and step 3 "Starts Postgresql Master-Slave VMs" were interrupted' in output
    wait_for(lambda: all(gone(command) for command in commands))


def test_a_verification_that_fails_stops_the_next_step(checkout: Checkout) -> None:
    file = checkout.root / "tests/e2e/test_applied.py"
    late = "    import time\n    while not (root / 'odoo.pid').exists():\n        time.sleep(0.05)\n"
    file.write_text(file.read_text().replace("    assert (root", late + "    assert (root"))
    with checkout.running("--yes", "--steps", "3-5", UNVERIFIED="1", TAKE_odoo="60") as process:
        command = sleeping(checkout, "odoo")
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 6
    assert 'step 3 "Starts Postgresql Master-Slave VMs" was applied but does not verify' in output
    assert output.splitlines()[-1] == "  go on: ./run.py --yes --steps 3-5"
    wait_for(lambda: gone(command))
    steps = checkout.journal()["steps"]
    assert [steps[number]["state"] for number in ("3", "4")] == ["failed", "failed"]
    assert "5" not in steps


def test_the_earlier_problem_is_told(checkout: Checkout) -> None:
    """Step 4 fails at once; that step 3 does not verify is seen later, and is the cause."""
    done = checkout.run("--yes", "--steps", "3-4", UNVERIFIED="1", BREAK_odoo="1")
    assert done.returncode == 6
    assert 'step 3 "Starts Postgresql Master-Slave VMs" was applied but does not verify' in done.stderr


def test_control_c_while_a_step_is_verified(checkout: Checkout) -> None:
    """The command that goes on begins with the step of which nobody knows yet."""
    file = checkout.root / "tests/e2e/test_applied.py"
    slow = 'open("verify.pid", "w").write(str(os.getpid())); time.sleep(60)'
    file.write_text(file.read_text() + f"    {slow}\n")
    with checkout.running("--yes", "--steps", "3-5", TAKE_odoo="60") as process:
        command, verifier = sleeping(checkout, "odoo"), sleeping(checkout, "verify")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 130
    assert 'stopped: step 4 "Deploys Odoo app on Minikube" was interrupted' in output
    assert output.splitlines()[-1] == "  go on: ./run.py --yes --steps 3-5"
    wait_for(lambda: gone(command) and gone(verifier))
    assert checkout.journal()["steps"]["3"]["state"] == "applied"


@pytest.mark.parametrize(
    ("marker", "says"), [("", "has no test marked odoo"), ("import nothing_such", "No module named 'nothing_such'")]
)
def test_a_step_without_verification_is_not_verified(checkout: Checkout, marker: str, says: str) -> None:
    (checkout.root / "tests/e2e/test_applied.py").write_text(marker)
    done = checkout.run("verify", "--steps", "4")
    assert done.returncode == 6
    assert says in done.stderr


@pytest.mark.parametrize(
    ("nodes", "docker", "reason"),
    [
        (NODES, {"down": True}, "DOCKER_DOWN"),
        (NODES + "flavour: sweet\n", {}, "NODES_INVALID"),
        (NODES.replace("100.31", "100.21"), {}, "NODES_INVALID"),
        (NODES.replace("100.31", "101.31"), {}, "NODES_INVALID"),
        (
            NODES,
            {
                "networks": [
                    {"Id": "1" * 64, "Name": "other", "Labels": "", "IPAM": {"Config": [{"Subnet": "198.51.100.0/25"}]}}
                ]
            },
            "SUBNET_TAKEN",
        ),
        (NODES, {"containers": [{"ID": "1", "Names": "shop-pg1", "Labels": "", "Networks": "x"}]}, "MACHINE_FOREIGN"),
    ],
)
def test_preflight(checkout: Checkout, nodes: str, docker: dict[str, Any], reason: str) -> None:
    (checkout.root / "inventory/nodes.yml").write_text(nodes)
    checkout.docker(**docker)
    done = checkout.run("--yes", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["event"], last["code"], last["reason"]) == (4, "run.failed", 4, reason)
    assert last["message"] in done.stderr
    assert last["advice"] in done.stderr
    assert not (checkout.root / ".deploy/journal.json").exists()


@pytest.mark.parametrize(
    ("argv", "env", "says"),
    [
        (["-e", "k8s_cluster_kind=minikube"], {"PATH": "/bin"}, "minikube is not installed"),
        (["-e", "k8s_cluster_minikube_driver=kvm2"], {}, "docker's machines do not go with cluster minikube kvm2"),
        ([], {"VAGRANT_DEFAULT_PROVIDER": "vmware"}, "vmware makes no machines here"),
    ],
)
def test_platform_that_cannot_work(checkout: Checkout, argv: list[str], env: dict[str, str], says: str) -> None:
    (checkout.root / ".deploy/cluster.json").unlink()
    done = checkout.run("--yes", *argv, **env)
    assert done.returncode == 4
    assert says in done.stderr
    assert "  next:  type: " in done.stderr
    assert not (checkout.root / ".deploy/journal.json").exists()


def test_platform_is_said(checkout: Checkout) -> None:
    done = checkout.run("--yes", "--steps", "1")
    assert "docker's machines, cluster embedded, because no context is named" in done.stdout, done.stderr


def test_two_runs_then_control_c(checkout: Checkout) -> None:
    with checkout.running("--yes", "--steps", "3-5", TAKE_postgres="60") as process:
        command = sleeping(checkout, "postgres")
        second = checkout.run("--yes")
        assert second.returncode == 5
        assert f"./run.py --yes --steps 3-5 (process {process.pid}, since 2" in second.stderr
        assert "At work: ./run.py --yes --steps 3-5" in checkout.run("status").stdout
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 130
        assert 'stopped: step 3 "Starts Postgresql Master-Slave VMs" was interrupted' in output
        assert output.splitlines()[-1] == "  go on: ./run.py --yes --steps 3-5"
        wait_for(lambda: gone(command))


def test_killed_then_resumed(checkout: Checkout) -> None:
    with checkout.running("--yes", "--steps", "3", TAKE_postgres="60") as process:
        command = sleeping(checkout, "postgres")
        process.kill()
        process.wait()
        wait_for(lambda: gone(command))  # the kernel told the playbook
    assert checkout.journal()["steps"]["3"]["state"] == "running"
    resumed = checkout.run("--yes", "--steps", "3")
    assert resumed.returncode == 0
    assert "changed=0, 1 check passed." in resumed.stdout.splitlines()[-1]
    assert "\x1b" not in resumed.stdout


def test_killed_with_its_playbook(checkout: Checkout) -> None:
    with checkout.running("--yes", "--steps", "3", TAKE_postgres="60") as process:
        command = sleeping(checkout, "postgres")
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            for playbook in (thread / "children").read_text().split():
                os.kill(int(playbook), signal.SIGKILL)
        process.kill()
        process.wait()
        assert not gone(command)
    following = checkout.run("--yes", "--steps", "3", BREAK_postgres="1")
    assert re.search(r"ending \d+ processes that a killed run left", following.stdout)
    assert gone(command)


def test_on_a_terminal(checkout: Checkout) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(checkout.root)
        os.execve(
            sys.executable,
            [sys.executable, "run.py", "--steps", "5"],
            {**checkout.env, "TERM": "xterm", "TAKE_nginx": "1"},
        )
    seen = b""
    answered = False
    while select.select([terminal], [], [], 40)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the terminal's other end was closed
            break
        seen += data
        if b"[y/n] > " in seen and not answered:
            answered = os.write(terminal, b"y\n") > 0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r". 5\. Starts Nginx proxies VMs  apply   \d:\d\d  Take time \[pg1\]", text)
    assert re.search(r"✔ 5\. Starts Nginx proxies VMs +\d:\d\d  changed=1  1 check passed", text)
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h")  # the cursor is given back


def test_set_up_fails(checkout: Checkout) -> None:
    (checkout.root / "install_dep.sh").write_text("#!/bin/sh\n[ $# = 1 ] || echo no network\nexit 9\n")
    done = checkout.run("--yes")
    assert done.returncode == 7
    assert "no network" in done.stdout
    assert "install_dep.sh ended with 9" in done.stderr


def test_before_the_set_up(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".deploy")
    (checkout.root / "install_dep.sh").write_text("#!/bin/sh\necho a docker engine is missing >&2\nexit 1\n")
    done = checkout.run("verify")
    assert done.returncode == 4
    assert "./install_dep.sh" in done.stderr
    done = checkout.run("--dry-run")
    assert done.returncode == 0
    assert "First install_dep.sh would set up this machine (a docker engine is missing)." in done.stdout
    assert not (checkout.root / ".deploy/venv").exists()


def test_dry_run_on_a_cluster_that_does_not_run(checkout: Checkout) -> None:
    """Step 1 says so by a task of its role; the steps after it cannot read a cluster, so their plays are listed."""
    assert checkout.run("--yes", "--steps", "1-2").returncode == 0
    name = dry_run.NO_CLUSTER
    assert f"- name: {name}\n" in (PROJECT / "roles/k8s_cluster/tasks/main.yml").read_text()
    task = f"- hosts: pg1\n  gather_facts: false\n  tasks:\n    - name: {name}\n      ansible.builtin.debug:\n"
    (checkout.root / "playbooks/cluster.yml").write_text(task + "      changed_when: true\n")
    (checkout.root / "playbooks/monitoring.yml").write_text(
        "- name: Needs a cluster\n  hosts: pg1\n  tasks: [{fail: }]\n"
    )
    done = checkout.run("--dry-run", "--steps", "1-2")
    assert done.returncode == 0, done.stderr
    assert "is not there yet; it would run:\n    Needs a cluster" in done.stdout


def test_dry_run_changes_nothing(checkout: Checkout) -> None:
    done = checkout.run("--dry-run", "--steps", "1-2")
    assert done.returncode == 0, done.stderr
    assert "would change:\n    pg1: Write cluster" in done.stdout
    assert "is not there yet; it would run:\n    Check monitoring\n    Apply monitoring" in done.stdout
    assert not (checkout.root / "cluster.applied").exists()
    assert not (checkout.root / ".deploy/journal.json").exists()


def test_day_2_command(checkout: Checkout) -> None:
    (checkout.root / "playbooks/psql.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - ansible.builtin.debug: {msg: [one, two]}\n"
        "    - ansible.builtin.set_stats: {data: {run_exec: [echo, three]}}\n"
    )
    done = checkout.run("psql")
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines() if line[0] != "["] == ["one", "two", "three"]
    (checkout.root / "playbooks/failover.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks: [{ansible.builtin.fail: {msg: two nodes cannot vote}}]\n"
    )
    done = checkout.run("failover", "--yes")
    assert done.returncode == 1
    assert "failover failed: localhost: ansible.builtin.fail: two nodes cannot vote" in done.stderr
    assert checkout.run("failover", stdin="y\n").returncode == 1, "a refusal comes before the question"


def add_command(checkout: Checkout, command: str, playbook: str) -> None:
    """A command more, in the checkout's own commands.py; its playbook is toy.yml."""
    with (checkout.root / "runner/commands.py").open("a") as file:
        file.write(f"\nCOMMANDS += ({command},)\n")
    (checkout.root / "playbooks/toy.yml").write_text(playbook)


TOLD = """
- hosts: localhost
  gather_facts: false
  vars: {x_other: kept}
  tasks:
    - ansible.builtin.copy:
        dest: "{{ playbook_dir }}/../told"
        content: "{{ [x_names, x_file, x_more, x_other] | to_json }}"
        mode: "0600"
"""


def test_arguments_reach_the_playbook_as_they_were_typed(checkout: Checkout) -> None:
    """-e wins; what was not typed leaves the playbook's own value."""
    arguments = (
        'Argument("NAME", "x_names", "names", many=True), Argument("--file", "x_file", "file", path=True),'
        'Argument("--more", "x_more", "more", default="a=b c"), Argument("--other", "x_other", "other")'
    )
    add_command(checkout, f'Command(("toy",), "toy.yml", "Tells", False, arguments=({arguments}))', TOLD)
    names = ["x_file=/etc", "@none", "\"{'", "yes", "007"]
    done = checkout.run("toy", *names, "--file", "a b")
    assert done.returncode == 0, done.stderr
    told = checkout.root / "told"
    assert json.loads(told.read_text()) == [names, f"{checkout.root}/a b", "a=b c", "kept"]
    done = checkout.run("toy", "one", "--file", "/a", "--more", "typed", "-e", "x_more=given")
    assert json.loads(told.read_text()) == [["one"], "/a", "given", "kept"], done.stderr


PLANNED = """
- hosts: localhost
  gather_facts: false
  vars: {postgres_ha_plan_only: false}
  tasks:
    - ansible.builtin.set_stats:
        data: {run_plan: {summary: Stop pg1., question: Stop it, steps: ["pg1: stop"], digest: abc}}
    - ansible.builtin.meta: end_play
      when: postgres_ha_plan_only | bool
    - ansible.builtin.copy: {dest: "{{ playbook_dir }}/../agreed", content: "{{ postgres_ha_digest }}", mode: "0600"}
"""


def test_plan_is_shown_before_the_question(checkout: Checkout) -> None:
    """Nothing is done without a yes; the playbook is held to the plan that was shown."""
    (checkout.root / "playbooks/switchover.yml").write_text(PLANNED)
    done = checkout.run("switchover", stdin="n\n")
    assert done.returncode == 3
    assert done.stdout.index("Stop pg1.") < done.stdout.index("pg1: stop") < done.stdout.index("Stop it. Go on? [y/n]")
    assert not (checkout.root / "agreed").exists()
    done = checkout.run("switchover", stdin="y\n")
    assert done.returncode == 0, done.stderr
    assert (checkout.root / "agreed").read_text() == "abc"


def test_plan_of_another_role(checkout: Checkout) -> None:
    """Its variables have the command's prefix. Without a question nobody is asked."""
    playbook = PLANNED.replace("postgres_ha_", "x_").replace("question: Stop it", "question: ''")
    add_command(checkout, 'Command(("toy",), "toy.yml", "Stops", plans="x")', playbook)
    done = checkout.run("toy")
    assert done.returncode == 0, done.stderr
    assert "Stop pg1." in done.stdout
    assert (checkout.root / "agreed").read_text() == "abc"


def test_dry_run_of_a_command_shows_its_plan(checkout: Checkout) -> None:
    """It asks nobody, changes nothing, and does not mind another run."""
    (checkout.root / "playbooks/switchover.yml").write_text(PLANNED)
    held = lock.acquire(checkout.root / ".deploy/lock", "another run")
    done = checkout.run("switchover", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("Stop pg1.\n  pg1: stop\n") < done.stdout.index("Nothing was changed.")
    assert "Go on?" not in done.stdout
    told = checkout.events("--dry-run", "switchover", "--yes")
    (plan,) = (event for event in told if event["event"] == "run.plan")
    assert [plan[key] for key in ("summary", "steps", "question")] == ["Stop pg1.", ["pg1: stop"], "Stop it"]
    assert (told[-1]["event"], told[-1]["code"], told[-1]["changed"]) == ("run.finished", 0, 0)
    assert not (checkout.root / "agreed").exists()
    assert checkout.run("switchover", "--yes").returncode == 5
    os.close(held)
    shutil.rmtree(checkout.root / ".deploy/venv")
    assert "nothing is set up here yet" in checkout.run("switchover", "--dry-run").stderr


def test_a_playbook_without_its_plan(checkout: Checkout) -> None:
    (checkout.root / "playbooks/switchover.yml").write_text(PLANNED.replace("run_plan", "other"))
    done = checkout.run("switchover", stdin="y\n")
    assert done.returncode == 1
    assert "switchover failed: its playbook made no plan" in done.stderr
    assert not (checkout.root / "agreed").exists()


def engine(checkout: Checkout) -> None:
    """An engine with this deployment and a neighbour's."""
    ours, others = "odoo-deploy.deployment=shop", "odoo-deploy.deployment=other"
    rows: dict[str, list[dict[str, Any]]] = {
        "containers": [],
        "volumes": [],
        "networks": [],
        "images": [{"Name": "odoo-deploy/vm:bookworm", "Labels": ""}],
    }
    for name, labels, network in (
        ("shop-minikube", ours, "vagrant_network_198.51.100.0/24"),
        ("shop-pg1", ours, "vagrant_network_198.51.100.0/24"),
        ("other-pg1", others, "vagrant_network_10.9.9.0/24"),
    ):
        rows["containers"].append({"ID": name, "Names": name, "Labels": labels, "Networks": network})
    rows["volumes"] = [
        {"Name": "shop-minikube-etcd", "Labels": ours},
        {"Name": "other-minikube-etcd", "Labels": others},
    ]
    rows["networks"] = [
        {"Id": str(n) * 64, "Name": f"vagrant_network_{net}", "Labels": "", "IPAM": {"Config": [{"Subnet": net}]}}
        for n, net in enumerate(("198.51.100.0/24", "10.9.9.0/24"))
    ]
    checkout.docker(**rows)
    machine = checkout.root / ".vagrant/machines/pg1/docker"
    machine.mkdir(parents=True)
    (machine / "id").write_text("shop-pg1")


def test_teardown(checkout: Checkout) -> None:
    engine(checkout)
    shutil.rmtree(checkout.root / ".deploy/venv")  # it needs none
    asked = checkout.run("teardown", stdin="n\n")
    assert asked.returncode == 3
    assert "databases and everything stored in them" in asked.stdout
    assert len(checkout.left()["containers"]) == 3
    done = subprocess.run(
        ["./teardown.sh", "--yes"], cwd=checkout.root, env=checkout.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "machine pg1",
        "container shop-minikube",
        "container shop-pg1",
        "volume shop-minikube-etcd",
        "network vagrant_network_198.51.100.0/24",
        "file .deploy/cluster.json",
    ):
        assert f"removed {line}\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("left: nothing (kept for a next run: secrets and logs in .deploy")
    left = checkout.left()
    assert [row["Names"] for row in left["containers"]] == ["other-pg1"]
    assert [row["Name"] for row in left["volumes"]] == ["other-minikube-etcd"]
    assert [row["Name"] for row in left["networks"]] == ["vagrant_network_10.9.9.0/24"]
    assert "destroy --force" in Path(f"{checkout.docker_state}.calls").read_text()
    assert (checkout.root / ".deploy/secrets/odoo_admin_password").exists()
    again = checkout.run("teardown")
    assert (again.returncode, again.stdout) == (0, "Nothing is left of deployment shop.\n")
    purged = checkout.run("teardown", "--purge", "--yes")
    assert purged.returncode == 0, purged.stderr
    assert not (checkout.root / ".deploy").exists()
    assert checkout.left()["images"] == []
    assert checkout.run("teardown", "--purge", "--yes").stdout == "Nothing is left of deployment shop.\n"


MINIKUBE = """#!/bin/sh
echo "$* $KUBECONFIG" >> "$FAKE_DOCKER.minikube"
[ "$1" != status ] || { cat "$FAKE_DOCKER.status"; exit 7; }
"""


def on_minikube(checkout: Checkout) -> Path:
    """Step 1 took minikube. Gives the file that holds what it was asked."""
    record = {"kind": "minikube", "reason": "k8s_cluster_kind asks for it", "driver": "docker", "profile": "shop"}
    (checkout.root / ".deploy/cluster.json").write_text(json.dumps(record))
    program = Path(checkout.env["PATH"].partition(":")[0]) / "minikube"
    program.write_text(MINIKUBE)
    program.chmod(0o755)
    return Path(f"{checkout.docker_state}.minikube")


def test_teardown_of_minikube(checkout: Checkout) -> None:
    """The profile goes whole, by minikube, which writes in no other kubeconfig than the deployment's."""
    asked = on_minikube(checkout)
    engine(checkout)
    state = checkout.left()
    nodes = [
        state["containers"][0] | {"Names": name, "Labels": f"name.minikube.sigs.k8s.io={name}"}
        for name in ("shop", "shop-m02")
    ]
    checkout.docker(**state | {"containers": [*state["containers"], *nodes]})
    done = checkout.run("teardown", "--yes")
    # The test's minikube leaves its container, which only minikube may remove; the network was seen as ours.
    assert "removed network vagrant_network_198.51.100.0/24\n" in done.stdout
    assert "removed minikube profile shop\n" in done.stdout
    assert asked.read_text() == f"delete --profile shop {checkout.root}/.deploy/kubeconfig\n"


def test_status_of_minikube(checkout: Checkout) -> None:
    """What minikube says of its nodes, though it fails where one does not run."""
    on_minikube(checkout)
    Path(f"{checkout.docker_state}.status").write_text('{"Name": "shop", "Host": "Stopped"}')
    line = "minikube profile shop: shop Stopped: ./run.py --steps 1 starts it"
    assert f"  {line}\n" in checkout.run("status").stdout
    (told,) = (event for event in checkout.events("status") if event["event"] == "status")
    assert told["minikube"] == line
    Path(f"{checkout.docker_state}.status").write_text("* Profile not found")
    assert "minikube profile shop does not exist: ./run.py --steps 1 makes it" in checkout.run("status").stdout
    (Path(checkout.env["PATH"].partition(":")[0]) / "minikube").unlink()
    assert "minikube profile shop: minikube does not answer" in checkout.run("status", PATH="/bin:/usr/bin").stdout


def test_teardown_tells_what_stays(checkout: Checkout) -> None:
    engine(checkout)
    machine = checkout.root / ".vagrant/machines/pg1"
    (machine / "docker").rename(machine / "virtualbox")
    done = checkout.run("teardown", "--yes")
    assert done.returncode == 1
    assert "machine pg1 stays" in done.stderr
    assert (checkout.root / ".deploy/cluster.json").exists()


def test_teardown_while_the_engine_is_down(checkout: Checkout) -> None:
    checkout.docker(down=True)
    done = checkout.run("teardown", "--yes")
    assert done.returncode == 4
    assert "docker engine does not answer" in done.stderr


def test_an_old_python_gets_a_message() -> None:
    """run.py itself parses everywhere, what it imports from 3.9 on."""
    source = (PROJECT / "run.py").read_text()
    ast.parse(source, feature_version=(3, 0))
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(ast.parse(source)))
    for path in (PROJECT / "runner").glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))


def test_the_reader_of_our_output_goes_away(checkout: Checkout) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} run.py verify | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=checkout.root, env=checkout.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 143
    assert "Traceback" not in done.stderr
