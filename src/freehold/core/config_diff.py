"""Two configurations compared: what differs, and what has to happen for the new one to be in force. Pure.

Reading the file again is `core.config_file`, carrying the changes out is `app.reload`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import fields, replace

from freehold.core.config import Config, ServerConfig
from freehold.core.errors import ConfigError
from freehold.core.listen import is_loopback, parse_listen

Effect = Literal["add", "adjust", "restart", "remove", "names", "access", "at once", "restart Freehold"]
"""`add`, `remove`: a server; `restart`: a server whose process must be another; `adjust`: a server that keeps
its process; `names`: the catalog is swapped whole; `access`: keys; `at once`: a section that is taken up
without a pause; `restart Freehold`: not before it is started again."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, and what became of it."""

    key: str
    """`servers.qwen`, `providers.openai`, `listen`."""
    effect: Effect
    text: str
    """For a person: what will happen, or has happened."""
    server: str | None = None
    outcome: Literal["planned", "done", "failed"] = "planned"
    detail: str = ""
    """Why it failed."""

    @property
    def line(self) -> str:
        """The change in one line, with its key."""
        late = " (restart Freehold)" if self.effect == "restart Freehold" else ""
        wrong = f" - failed: {self.detail}" if self.outcome == "failed" else ""
        return f"{self.key}: {self.text}{late}{wrong}"


class FoundProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake in the new file."""

    message: str
    line: int | None = None
    key: str | None = None
    nearest: str | None = None


class ReloadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload does, or did. With problems nothing was touched."""

    file: str | None
    changes: tuple[Change, ...] = ()
    problems: tuple[FoundProblem, ...] = ()
    dry_run: bool = False


def plan_lines(plan: ReloadPlan) -> tuple[str, ...]:
    """What happened, or would happen, for a person: one line for each change or problem."""
    if plan.problems:
        found = (
            ConfigError(each.message, file=plan.file, line=each.line, key=each.key, nearest=each.nearest)
            for each in plan.problems
        )
        return (*map(str, found), "Nothing was changed.")
    if not plan.changes:
        return ("Nothing has changed.",)
    end = ("Nothing was done: this is the plan.",) if plan.dry_run else ()
    return (*(change.line for change in plan.changes), *end)


_LIFE = frozenset(
    (
        *("start", "keep_warm", "idle_stop_s", "pin", "priority", "min_stay_s", "after", "restart"),
        *("load_timeout_s", "drain_timeout_s", "stop_timeout_s", "stop_signal", "stall_timeout_s"),
        *("max_queue", "max_wait_s"),
    )
)
"""Keys of a server that concern how Freehold treats it, not the process that serves."""


def differences(old: Config, new: Config) -> tuple[Change, ...]:
    """What must happen so that `new` is in force where `old` is, in the order of the file's keys.

    `old` holds the address that is really listened on: without keys nobody but this machine may reach it.
    """
    return (
        *_later("listen", old, new),
        *_access(old, new),
        *_named("providers", old.providers, new.providers),
        *_servers(old.servers, new.servers),
        *_later("memory", old, new),
        *_later("engines", old, new),
        *_later("keep_servers", old, new),
        *_named("models", old.models, new.models),
        *_at_once("tiers", old, new, "names"),
        *_at_once("routing", old, new),
        *_at_once("budgets", old, new),
        *_at_once("prices", old, new),
        *_at_once("energy", old, new),
        *_at_once("subscriptions", old, new),
        *_at_once("limits", old, new),
        *_at_once("cache", old, new),
        *_later("receipts", old, new),
        *_at_once("telemetry", old, new),
        *_later("discover", old, new),
    )


def in_force(old: Config, new: Config) -> Config:
    """`new`, but for what only a restart of Freehold changes: that is as in `old`."""
    late = {
        change.key: getattr(old, change.key)
        for change in differences(old, new)
        if change.effect == "restart Freehold"
    }
    return replace(new, **late)


def _access(old: Config, new: Config) -> Iterator[Change]:
    if old.auth == new.auth:
        return
    if not new.auth.keys and not is_loopback(parse_listen(old.listen).host):
        text = "keys stay required until Freehold is restarted: other machines can reach it as it listens now"
        yield Change(key="auth", effect="restart Freehold", text=text)
        return
    words = f"{len(new.auth.keys)} keys are accepted" if new.auth.keys else "no key is required any more"
    yield Change(key="auth", effect="access", text=words)


def _later(key: str, old: Config, new: Config) -> Iterator[Change]:
    if getattr(old, key) != getattr(new, key):
        text = "in force when Freehold is started again"
        yield Change(key=key, effect="restart Freehold", text=text)


def _at_once(key: str, old: Config, new: Config, effect: Effect = "at once") -> Iterator[Change]:
    if getattr(old, key) != getattr(new, key):
        yield Change(key=key, effect=effect, text=_changed(getattr(old, key), getattr(new, key)).text)


def _named(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    words = _compared(old, new)
    for name, word in words.items():
        yield Change(key=f"{section}.{name}", effect="names", text=word.text)
    order = [name for name in old if name in new]
    if section == "providers" and not words and order != list(new):
        yield Change(key=section, effect="names", text="another order")


def _servers(old: Mapping[str, ServerConfig], new: Mapping[str, ServerConfig]) -> Iterator[Change]:
    for name, word in _compared(old, new).items():
        effect, then = _EFFECTS[word.kind]
        if word.kind == "changed" and set(word.attributes) <= _LIFE:
            effect, then = "adjust", "; goes on running"
        yield Change(key=f"servers.{name}", effect=effect, text=word.text + then, server=name)


_EFFECTS: Mapping[str, tuple[Effect, str]] = {
    "added": ("add", ""),
    "removed": ("remove", "; drained, then stopped"),
    "changed": ("restart", "; drained, then restarted if it runs"),
}


class _Word(NamedTuple):
    kind: Literal["added", "removed", "changed"]
    text: str
    attributes: tuple[str, ...] = ()


def _compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, _Word]:
    """By name: those of `new` in their order, then those that are gone."""
    words: dict[str, _Word] = {}
    for name, section in new.items():
        if name not in old:
            words[name] = _Word("added", "added")
        elif old[name] != section:
            words[name] = _changed(old[name], section)
    return words | {name: _Word("removed", "removed") for name in old if name not in new}


def _changed(old: Any, new: Any) -> _Word:
    """Which keys differ; never their values, which may be secret."""
    if not isinstance(new, msgspec.Struct) or type(old) is not type(new):
        return _Word("changed", "changed")
    differing = [each for each in fields(new) if getattr(old, each.name) != getattr(new, each.name)]
    text = f"{', '.join(each.encode_name for each in differing)} changed"
    return _Word("changed", text, tuple(each.name for each in differing))
