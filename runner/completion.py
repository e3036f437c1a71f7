# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell completion, printed from the parser itself, so it never falls behind and needs no package."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from runner.commands import absolute

# Where nothing is offered, the shell completes files by itself (-o default).
TEMPLATE = """\
_run_py() {{
  local word at="" offered="" current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}"; do
    case "$at$word " in {paths}) at="$at$word " ;; esac
  done
  case "$at$before" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
}}
complete -o default -F _run_py run.py ./run.py
"""


def _parsers(parser: argparse.ArgumentParser, at: str = "") -> dict[str, argparse.ArgumentParser]:
    """The parser of each command path: {"": ..., "logs ": ..., "logs odoo ": ...}."""
    found = {at: parser}
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found.update(_parsers(sub, f"{at}{name} "))
    return found


def _cases(at: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """What may follow each flag that takes a value, then what may follow the path."""
    flags: list[str] = []
    words: list[str] = []
    files = False
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        flags += action.option_strings
        if not action.option_strings:
            words += choices
            files = files or action.type is absolute
        elif action.nargs != 0:
            names = "|".join(f'"{at}{flag}"' for flag in action.option_strings)
            yield f'    {names}) offered="{" ".join(choices)}" ;;'
    if files:  # offered words would hide them
        only = f'[[ $current != -* ]] || offered="{" ".join(flags)}"'
        yield f'    "{at}"*) offered="{" ".join(words)}"; {only} ;;'
    else:
        yield f'    "{at}"*) offered="{" ".join(flags + words)}" ;;'


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a shell: bash or zsh."""
    parsers = _parsers(parser)
    longest_first = reversed(list(parsers.items()))
    text = TEMPLATE.format(
        paths="|".join(f'"{at}"' for at in parsers if at),
        cases="\n".join(line for at, sub in longest_first for line in _cases(at, sub)),
    )
    return ("autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else "") + text
