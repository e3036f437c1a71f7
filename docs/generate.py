# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/reference/ from the roles' argument specs and the plugins' DOCUMENTATION.

Pages are Markdown, so that a code host shows them and a diff can be read; antsibull-docs makes reStructuredText for a
site of its own. Its parser reads the markup of descriptions here, its linter checks the same sources in test.sh.

Usage: .deploy/venv/bin/python docs/generate.py             writes the pages
                                          ... --check     writes nothing, fails where a page is out of date
                                          ... --proofs    prints which test names which variable of a role
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from antsibull_docs_parser import dom
from antsibull_docs_parser.md import MDFormatter, to_md
from antsibull_docs_parser.parser import Context, parse

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
COLLECTION = "odoo_deploy.stack"
KINDS = {"modules": "module", "inventory": "inventory plugin", "filter": "filter", "lookup": "lookup", "test": "test"}
NOTE = "<!-- Made by docs/generate.py from what the code says of itself. Change it there. -->"


class Words(MDFormatter):
    """Markdown of its own kind: back-ticks rather than HTML, as little escaped as a table needs."""

    def format_text(self, part: dom.TextPart) -> str:
        return part.text.replace("*", r"\*").replace("<", "&lt;").replace("_", r"\_")

    def format_code(self, part: dom.CodePart) -> str:
        return code(part.text)

    def format_option_value(self, part: dom.OptionValuePart) -> str:
        return code(part.value)

    def format_env_variable(self, part: dom.EnvVariablePart) -> str:
        return code(part.name)

    @staticmethod
    def _format_option_like(part: dom.OptionNamePart | dom.ReturnValuePart, url: str | None) -> str:
        return code(part.name if part.value is None else f"{part.name}={part.value}")


def code(text: str) -> str:
    """`text` as inline code, also where it holds back-ticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def words(text: str | list[str] | None) -> list[str]:
    """Paragraphs of a description, its Ansible markup turned into Markdown."""
    paragraphs = [text] if isinstance(text, str) else text or []
    for paragraph in paragraphs:
        if not isinstance(paragraph, str):
            raise ValueError(f"YAML reads this description as {paragraph!r}: quote it, or write it without ': '")
    return [to_md([parsed], formatter=Words()) for parsed in parse(paragraphs, Context(), errors="exception")]


def cell(paragraphs: list[str]) -> str:
    """Paragraphs in one cell of a table."""
    return "<br>".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("|", r"\|")


def kind(option: Mapping[str, Any]) -> str:
    """An option's type: `list of str`."""
    elements = option.get("elements")
    return option.get("type", "str") + (f" of {elements}" if elements else "")


def default(option: Mapping[str, Any]) -> str:
    """What an option is when nobody sets it; expressions without their line breaks."""
    if option.get("required"):
        return "required"
    value = option.get("default")
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return code(" ".join(text.split())) if text else '`""`'


def rows(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A row an option, in the order of the source; what is in a dictionary follows it as NAME.KEY."""
    for name, option in options.items():
        said = words(option.get("description"))
        if choices := option.get("choices"):
            names = choices if isinstance(choices, list) else list(choices)
            said.append("One of " + ", ".join(code(str(choice)) for choice in names) + ".")
        said += [f"Environment: {code(entry['name'])}." for entry in option.get("env", [])]
        yield f"| {code(prefix + name)} | {kind(option)} | {cell([default(option)])} | {cell(said)} |"
        yield from rows(option.get("suboptions") or option.get("options") or {}, f"{prefix}{name}.")


def table(options: Mapping[str, Any], heading: str) -> str:
    return "\n".join([f"| {heading} | Type | Default | Meaning |", "| --- | --- | --- | --- |", *rows(options)])


def returned(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        said = words(value.get("description"))
        if "returned" in value:
            said.append(f"Returned: {value['returned']}.")
        yield f"| {code(prefix + name)} | {kind(value)} | {cell(said)} |"
        yield from returned(value.get("contains") or {}, f"{prefix}{name}.")


@dataclass(frozen=True)
class Page:
    """One page of the reference: name is its file's stem."""

    name: str
    kind: str
    summary: str
    text: str


def role_page(folder: Path) -> Page:
    """The page of a role: what it does, on what, its entry points and variables."""
    entries = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text()) or {}
    info = yaml.safe_load((folder / "meta" / "main.yml").read_text())["galaxy_info"]
    systems = ", ".join(f"{system['name']} {'/'.join(system['versions'])}" for system in info["platforms"])
    main = entries.get("main", {"short_description": info["description"]})  # a role of commands has no entry point main
    parts = [NOTE, f"# Role {COLLECTION}.{folder.name}", f"{main['short_description']}."]
    parts += [*words(main.get("description")), f"Runs on {systems}."]
    for name, entry in entries.items():
        if name != "main":
            parts += [f"## tasks_from: {name}", f"{entry['short_description']}.", *words(entry.get("description"))]
        # A computed default is no valid default of a specification that has another type than a string.
        options = {
            variable: {"default": defaults.get(variable), **option}
            for variable, option in entry.get("options", {}).items()
        }
        if options:
            parts.append(table(options, "Variable"))
    return Page(folder.name, "role", main["short_description"], "\n\n".join(parts) + "\n")


def constants(file: Path) -> dict[str, str]:
    """The string constants of a Python file, by name."""
    return constants_of(ast.parse(file.read_text()).body)


def constants_of(body: list[ast.stmt]) -> dict[str, str]:
    """The string constants of a module's or a class's statements, by name."""
    return {
        target.id: node.value.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def with_own_fragments(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The document with this collection's fragments filled in, and the names of other collections' fragments."""
    names = document.get("extends_documentation_fragment", [])
    foreign = []
    for name in [names] if isinstance(names, str) else names:
        if not name.startswith(f"{COLLECTION}."):
            foreign.append(name)
            continue
        file = ROOT / "plugins" / "doc_fragments" / f"{name.removeprefix(f'{COLLECTION}.')}.py"
        (fragment,) = (node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef))
        for key, value in yaml.safe_load(constants_of(fragment.body)["DOCUMENTATION"]).items():
            own = document.get(key)
            document[key] = [*value, *(own or [])] if isinstance(value, list) else {**(own or {}), **value}
    return document, foreign


def plugin_page(file: Path) -> Page:
    """The page of a module or plugin, from its DOCUMENTATION, EXAMPLES and RETURN."""
    said = constants(file)
    document, fragments = with_own_fragments(yaml.safe_load(said["DOCUMENTATION"]))
    what = KINDS[file.parent.name]
    parts = [NOTE, f"# {what[0].upper()}{what[1:]} {COLLECTION}.{file.stem}", f"{document['short_description']}."]
    parts.append("\n".join(f"- {paragraph}" for paragraph in words(document["description"])))
    if needs := words(document.get("requirements")):
        parts += ["## Requirements", "\n".join(f"- {need}" for need in needs)]
    options = document.get("options", {})
    parts += ["## Options", table(options, "Option")] if options else []
    if fragments:
        parts.append(
            "Further options: "
            + ", ".join(code(name) for name in fragments)
            + f" (`ansible-doc -t {file.parent.name} {COLLECTION}.{file.stem}`)."
        )
    if attributes := document.get("attributes"):
        lines = [
            f"- {code(name)}: {value['support']}. {' '.join(words(value.get('description')))}".rstrip()
            for name, value in attributes.items()
        ]
        parts += ["## Attributes", "\n".join(lines)]
    if notes := words(document.get("notes")):
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    if examples := said.get("EXAMPLES", "").strip("\n"):
        parts += ["## Examples", f"```yaml\n{examples}\n```"]
    if values := yaml.safe_load(said.get("RETURN", "")):
        parts += [
            "## Return values",
            "\n".join(["| Value | Type | Meaning |", "| --- | --- | --- |", *returned(values)]),
        ]
    return Page(file.stem, what, document["short_description"], "\n\n".join(parts) + "\n")


def pages(root: Path = ROOT) -> dict[str, str]:
    """{file name: text} of the whole reference."""
    found = [role_page(folder) for folder in sorted((root / "roles").iterdir()) if folder.is_dir()]
    for folder in KINDS:
        files = sorted((root / "plugins" / folder).glob("*.py"))
        found += [plugin_page(file) for file in files if "DOCUMENTATION" in constants(file)]
    index = [
        NOTE,
        "# Reference",
        "Each page is also shown by `ansible-doc -t TYPE NAME`.",
        "| | | |\n| --- | --- | --- |",
    ]
    index[-1] += "".join(f"\n| [{page.name}]({page.name}.md) | {page.kind} | {page.summary} |" for page in found)
    index.append("[Which test proves which variable](proofs.md)")
    written = {"README.md": "\n\n".join(index) + "\n", "proofs.md": proofs_page(root)}
    return written | {f"{page.name}.md": page.text for page in found}


def stale(folder: Path = REFERENCE) -> list[str]:
    """Names of pages that are missing, left over or differ from what the code says."""
    wanted = pages()
    there = {file.name: file.read_text() for file in folder.glob("*")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def variables(root: Path = ROOT) -> dict[str, list[str]]:
    """{role: its variables} of every entry point's specification."""
    found = {}
    for file in sorted((root / "roles").glob("*/meta/argument_specs.yml")):
        entries = yaml.safe_load(file.read_text())["argument_specs"].values()
        found[file.parts[-3]] = list(dict.fromkeys(name for entry in entries for name in entry.get("options") or {}))
    return found


# Proofs by a test that does not name the variable: what the wiring gives, what a command passes on.
ELSEWHERE = Path("tests", "settings", "elsewhere.yml")


def elsewhere(root: Path = ROOT) -> dict[str, str]:
    """{variable: file::test} of the proofs that are written down."""
    file = root / ELSEWHERE
    return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def parameters(root: Path = ROOT) -> dict[str, set[str]]:
    """{variable of a role: parameters that a person gives a playbook for it}: `variable: "{{ parameter | default(…`."""
    found: dict[str, set[str]] = {}
    for file in sorted((root / "playbooks").rglob("*.yml")):
        pattern = r'^ +(\w+): "\{\{ (\w+) \| (?:default|mandatory)\('
        for variable, parameter in re.findall(pattern, file.read_text(), re.MULTILINE):
            found.setdefault(variable, set()).add(parameter)
    return found


def proofs(root: Path = ROOT) -> dict[str, list[str]]:
    """{variable: files of tests that set it or assert what it does}: by its name, a parameter, or ELSEWHERE."""
    files = [file for folder in ("tests", "molecule") for file in sorted((root / folder).rglob("*")) if file.is_file()]
    words_of = {
        str(file.relative_to(root)): set(re.findall(r"\b[a-z][a-z0-9_]+\b", file.read_text()))
        for file in files
        if file.suffix in (".py", ".yml", ".j2", ".sh") and file != root / ELSEWHERE
    }
    given, written = parameters(root), elsewhere(root)
    found = {}
    for name in (name for listed in variables(root).values() for name in listed):
        names = {name, *given.get(name, set())}
        found[name] = [file for file, said in words_of.items() if names & said]
        if name in written and (file := written[name].partition("::")[0]) not in found[name]:
            found[name].append(file)
    return found


def proofs_page(root: Path = ROOT) -> str:
    """The page of variables and the tests that prove them, with the count of those that no test proves."""
    proven = proofs(root)
    count = sum(map(bool, proven.values()))
    parts = [
        NOTE,
        "# Variables and their tests",
        f"{count} of {len(proven)} variables have a test that sets them to something else, or asserts what they do.",
        "\n".join(
            [
                "| Variable | Tests |",
                "| --- | --- |",
                *(f"| {code(name)} | {', '.join(map(code, files)) or '**none**'} |" for name, files in proven.items()),
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    parser.add_argument("--proofs", action="store_true", help="print which test names which variable of a role")
    arguments = parser.parse_args()
    if arguments.proofs:
        print(proofs_page(), end="")
        return 0
    names = stale()
    if arguments.check:
        if names:
            print(
                f"docs/reference is out of date: {', '.join(names)}. Run .deploy/venv/bin/python docs/generate.py.",
                file=sys.stderr,
            )
        return bool(names)
    REFERENCE.mkdir(exist_ok=True)
    wanted = pages()
    for name in names:
        if name in wanted:
            (REFERENCE / name).write_text(wanted[name])
        else:
            (REFERENCE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
