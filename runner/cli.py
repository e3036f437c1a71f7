# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what can be typed, its help and its completion."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runner import commands
from runner.commands import Argument, Command
from runner.exits import Exit
from runner.steps import STEPS, Step, parse_steps

EXAMPLES = """\
examples:
  ./run.py                        deploy: shows the steps, asks, then runs them
  ./run.py --yes --steps 3-5      only steps 3 to 5, without asking
  ./run.py --dry-run              what a run would do; changes nothing
  ./run.py verify                 checks the deployment, changes nothing
  ./run.py --json --yes | jq .    one event a line (docs/run.md)
  ./run.py -e k8s_cluster_kind=minikube
  eval "$(./run.py completion bash)"

exit codes:
  0 done                     4 preflight: nothing changed   7 the set-up failed
  1 a step failed            5 another run is at work       130 Ctrl-C
  2 bad command line         6 a verification failed        143 terminated
  3 declined
"""


def _steps(text: str) -> tuple[Step, ...]:
    try:
        return parse_steps(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _Adds(argparse.Action):
    """Adds to a list that all parsers share: one of a command does not see what was typed before its name."""

    def __init__(self, option_strings: Sequence[str], dest: str, default: list[Any], **settings: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **settings)
        self.typed = default

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        self.typed.append(values)


@dataclass(frozen=True)
class _Typed:
    """What may be typed more than once."""

    verbose: list[Any] = field(default_factory=list)
    extra_vars: list[str] = field(default_factory=list)


def _common(defaults: bool, typed: _Typed) -> argparse.ArgumentParser:
    """Options every command takes, before or after its name."""

    def default(value: Any) -> Any:
        return value if defaults else argparse.SUPPRESS

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-y", "--yes", action="store_true", default=default(False), help="do not ask")
    parser.add_argument("--json", action="store_true", default=default(False), help="one JSON event a line")
    parser.add_argument(
        "-v",
        "--verbose",
        action=_Adds,
        nargs=0,
        default=typed.verbose,
        help="show each change; -vv and more reach Ansible's log",
    )
    return parser


def _selection(defaults: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    whole = STEPS if defaults else argparse.SUPPRESS
    parser.add_argument(
        "--steps", type=_steps, metavar="LIST", default=whole, help="such as 3, 3-5 or 2,4 (default: all)"
    )
    return parser


def _playing(typed: _Typed) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "-e",
        "--extra-vars",
        action=_Adds,
        metavar="VARS",
        default=typed.extra_vars,
        help="passed to Ansible: key=value, JSON or @file (repeatable)",
    )
    return parser


def parser() -> argparse.ArgumentParser:
    """The whole command line.

    Attributes: command, yes, json, verbose, steps, extra_vars, dry_run, purge, shell, day2 (a Command), and each
    argument of day2 that was typed, by its name: FILE, --as.
    """
    typed = _Typed()
    top = argparse.ArgumentParser(
        prog="run.py",
        description="Deploys a replicated Odoo: Kubernetes, Prometheus, PostgreSQL, Odoo, nginx;\n"
        "each step is checked, applied and verified.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(True, typed), _selection(True), _playing(typed)],
        allow_abbrev=False,
    )
    top.add_argument("--dry-run", action="store_true", help="say per step what a run would do; changes nothing")
    top.set_defaults(command="deploy", purge=False, shell="", day2=None, **vars(typed))
    verbs = top.add_subparsers(title="commands", metavar="COMMAND")

    def add(verb: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub = verbs.add_parser(
            verb, help=text, description=text, parents=[_common(False, typed), *parents], allow_abbrev=False
        )
        sub.set_defaults(command=verb)
        return sub

    deploy = add("deploy", "Deploys; the same as no command at all", _selection(False), _playing(typed))
    deploy.add_argument(
        "--dry-run",
        action="store_true",
        default=argparse.SUPPRESS,
        help="say per step what a run would do; changes nothing",
    )
    add("verify", "Checks what is deployed; changes nothing", _selection(False))
    add("status", "Shows steps, machines and addresses")
    add("timeline", "Shows what the last run did when, and what it waited for")
    teardown = add("teardown", "Destroys this deployment's machines, cluster and network; asks first", _playing(typed))
    teardown.add_argument("--purge", action="store_true", help="also remove secrets, caches, images and .deploy/")
    completion = add("completion", 'Prints shell completion: eval "$(./run.py completion bash)"')
    completion.add_argument("shell", choices=("bash", "zsh"))
    _add_day2(verbs, typed)
    return top


def _add_day2(verbs: Any, typed: _Typed) -> None:
    """A parser for each word; where the words so far are no command, another word has to follow."""
    offered = {command.words: command for command in commands.offered()}
    beginnings = dict.fromkeys(words[:length] for words in offered for length in range(1, len(words) + 1))
    places: dict[tuple[str, ...], Any] = {(): verbs}
    for words in beginnings:
        command, place = offered.get(words), places[words[:-1]]
        sub = (
            _add_command(place, command, typed)
            if command
            else place.add_parser(words[-1], help=f"see ./run.py {' '.join(words)} --help")
        )
        if any(longer[:-1] == words for longer in beginnings):
            places[words] = sub.add_subparsers(required=command is None, metavar="WHAT")


def _add_command(place: Any, command: Command, typed: _Typed) -> Any:
    sub = place.add_parser(
        command.words[-1],
        help=command.does,
        description=f"{command.does}.",
        epilog="\n".join(["variables (-e NAME=VALUE):"] * bool(command.options) + _aligned(command.options)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(False, typed), _playing(typed)],
        allow_abbrev=False,
    )
    if command.plans:
        sub.add_argument(
            "--dry-run", action="store_true", default=argparse.SUPPRESS, help="show the plan; changes nothing"
        )
    for argument in command.arguments:
        _add_argument(sub, argument)
    sub.set_defaults(command="day2", day2=command)
    return sub


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    notes = [f"one of {', '.join(argument.choices)}"] * bool(argument.choices)
    notes += [f"default: {argument.default}"] * (argument.default is not None)
    settings: dict[str, Any] = {
        "type": argument.reads,
        "choices": argument.choices or None,
        "metavar": argument.name.lstrip("-").upper(),
        "help": argument.meaning + f" ({'; '.join(notes)})" * bool(notes),
    }
    if argument.is_flag:
        # Absent if it was not typed: a command must not hide what was typed before its last word.
        settings |= {"dest": argument.name, "default": argparse.SUPPRESS, "required": argument.required}
        settings["nargs"] = "+" if argument.many else None
    elif argument.many:
        settings["nargs"] = "+" if argument.required else "*"
    else:
        settings["nargs"] = None if argument.required else "?"
    parser.add_argument(argument.name, **settings)


def _aligned(options: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _meaning in options), default=0)
    return [f"  {name:<{width}}  {meaning}" for name, meaning in options]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line's meaning; ends the process with exit code 2 and a message where it has none."""
    top = parser()
    args = top.parse_args(argv)
    args.verbose = len(args.verbose)
    own = [argument.name for argument in args.day2.arguments] if args.day2 else []
    wrong = [name for name in vars(args) if name.startswith("-") and name not in own]  # of a command around this one
    if args.command not in ("deploy", "verify") and args.steps is not STEPS:
        wrong.append("--steps")
    if args.dry_run and args.command != "deploy" and not (args.day2 and args.day2.plans):
        wrong.append("--dry-run")
    if wrong:
        top.exit(Exit.USAGE, f"run.py: {wrong[0]} does not go with {title(args)}\n")
    return args


def title(args: argparse.Namespace) -> str:
    """The command as it is typed."""
    return str(args.day2.label if args.day2 else args.command)


def variables(args: argparse.Namespace) -> dict[str, Any]:
    """The extra variables that a day-2 command's arguments become."""
    values = {argument.variable: argument.value(getattr(args, argument.name, None)) for argument in args.day2.arguments}
    return {name: value for name, value in values.items() if value is not None}
