# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell completion, printed from the parser itself, so it never falls behind and needs no package."""

from __future__ import annotations

import argparse

TEMPLATE = """\
_run_py() {{
  local words="${{COMP_WORDS[*]:1:COMP_CWORD-1}}" path="" word
  for word in $words; do case $word in -*) ;; *) path="$path$word " ;; esac; done
  case "$path" in
{cases}
    *) COMPREPLY=() ;;
  esac
}}
complete -o default -F _run_py run.py ./run.py
"""


def words(parser: argparse.ArgumentParser, path: str = "") -> dict[str, list[str]]:
    """What may follow each command path: {"": [...], "logs ": ["odoo"]}."""
    found: dict[str, list[str]] = {path: []}
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found[path].append(name)
                found.update(words(sub, f"{path}{name} "))
        elif action.option_strings:
            found[path] += action.option_strings
        elif action.choices:
            found[path] += [str(choice) for choice in action.choices]
    return found


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a shell: bash or zsh."""
    cases = "\n".join(
        f'    "{path}") COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "${{COMP_WORDS[COMP_CWORD]}}")) ;;'
        for path, choices in words(parser).items()
    )
    text = TEMPLATE.format(cases=cases)
    return ("autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else "") + text
