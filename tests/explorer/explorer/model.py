# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which acts are possible after the faults so far. Knows nothing of PostgreSQL's roles, which the servers tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from explorer.acts import CLIENT, Act


@dataclass(frozen=True)
class World:
    """The faults that are in force."""

    servers: tuple[str, ...]
    patroni: bool = False
    witnesses: tuple[str, ...] = ()
    down: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    hung: frozenset[str] = frozenset()
    isolated: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()
    cuts: frozenset[tuple[str, ...]] = frozenset()
    # A failover powers off what does not answer: the draw cannot know whether it did.
    fenced: frozenset[str] = frozenset()

    @property
    def machines(self) -> tuple[str, ...]:
        return (*self.servers, *self.witnesses)

    def link(self, one: str, other: str) -> tuple[str, str]:
        """Both ends in one order, the client last."""
        first, second = sorted((one, other), key=lambda name: (name == CLIENT, name))
        return first, second

    def possible(self, act: Act) -> bool:
        """Whether the act makes sense now."""
        known = {*self.machines, CLIENT}
        if not set(act.machines) <= known:
            return False
        if act.is_command or act.kind == "wait":
            return set(act.machines) <= set(self.servers)
        if act.kind in ("cut", "heal"):
            one, other = act.machines
            if one == other or self.link(one, other) != act.machines:
                return False
            return (act.machines in self.cuts) == (act.kind == "heal")
        (name,) = act.machines
        runs = name in self.machines and name not in self.down | self.frozen
        serves = runs and name in self.servers
        return {
            # What lies on the small disk would be gone with the machine's power.
            "kill": name in self.machines and name not in self.down | self.full,
            "start": name in self.down | self.fenced,
            "stop": serves and name not in self.hung,
            "crash": serves and name not in self.hung,
            "hang": serves and name not in self.hung,
            "resume": name in self.hung and runs,
            "freeze": runs and name not in self.full,
            "thaw": name in self.frozen,
            "isolate": name in self.machines and name not in self.isolated | self.full,
            "join": name in self.isolated,
            # The disk is exchanged while the server is stopped, which wants healthy servers. Only one can be full.
            "fill": serves and not (self.hung | self.full | self.down | self.isolated | self.frozen or self.cuts),
            "free": name in self.full and runs,
        }[act.kind]

    def after(self, act: Act) -> World:
        """The world once the act is done."""
        if "failover" in act.commands:
            return replace(self, fenced=self.fenced | self.isolated | self.frozen)
        if "step3" in act.commands:
            # run.py starts machines that are off.
            return replace(self, down=frozenset(), fenced=frozenset())
        if act.is_command or act.kind in ("wait", "stop", "crash"):
            return self
        if act.kind in ("cut", "heal"):
            link = {act.machines}
            return replace(self, cuts=self.cuts | link if act.kind == "cut" else self.cuts - link)
        one = frozenset(act.machines)
        match act.kind:
            case "kill":
                return replace(self, down=self.down | one, frozen=self.frozen - one, hung=self.hung - one)
            case "start":
                return replace(self, down=self.down - one, fenced=self.fenced - one, frozen=self.frozen - one)
            case "hang":
                return replace(self, hung=self.hung | one)
            case "resume":
                return replace(self, hung=self.hung - one)
            case "freeze":
                return replace(self, frozen=self.frozen | one)
            case "thaw":
                return replace(self, frozen=self.frozen - one)
            case "isolate":
                return replace(self, isolated=self.isolated | one)
            case "join":
                return replace(self, isolated=self.isolated - one)
            case "fill":
                return replace(self, full=self.full | one)
            case "free":
                return replace(self, full=self.full - one)
        raise ValueError(f"no effect is known of {act}")


def valid(acts: Iterable[Act], world: World) -> bool:
    """Whether each act is possible once those before it are done."""
    for act in acts:
        if not world.possible(act):
            return False
        world = world.after(act)
    return True


def final(acts: Sequence[Act], world: World) -> World:
    """The faults that the whole sequence leaves."""
    for act in acts:
        world = world.after(act)
    return world


def repairs(world: World) -> list[Act]:
    """What takes every fault away, as somebody would who finds them: links first, then machines."""
    return [
        *(Act("join", (name,)) for name in sorted(world.isolated)),
        *(Act("heal", link) for link in sorted(world.cuts)),
        *(Act("thaw", (name,)) for name in sorted(world.frozen)),
        *(Act("resume", (name,)) for name in sorted(world.hung - world.frozen)),
        *(Act("free", (name,)) for name in sorted(world.full)),
        *(Act("start", (name,)) for name in sorted(world.down | world.fenced)),
        *(Act("resume", (name,)) for name in sorted(world.hung & world.frozen)),
    ]
