"""`freehold config`: checks the configuration file, shows what is in force, prints the schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml
from msgspec.structs import replace

from freehold.cli.control_client import find_running
from freehold.cli.exits import Exit
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.core.config import Config, ServerConfig, candidates_of
from freehold.core.config_diff import ReloadPlan, plan_lines
from freehold.core.config_file import LoadedConfig, find_config, load_config, read_config
from freehold.core.config_schema import config_schema
from freehold.core.errors import ConfigError
from freehold.core.keys import accepted_keys, normal_hash

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check, show and reload the configuration."
)

_RELOAD_S = 3600.0
"""A reload waits until calls under way have ended, and that for one server after the other."""


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read the configuration file and name every problem in it."""
    file = find_config(config, os.environ, Path.cwd())
    found, problems = read_config(file, os.environ) if file else (Config(), [])
    notes = _notes(found) if found else []
    if as_json:
        print_json(
            {
                "file": str(file) if file else None,
                "ok": not problems,
                "problems": [_problem(error) for error in problems],
                "notes": notes,
            }
        )
    else:
        for error in problems:
            say(str(error))
        for note in notes:
            say(f"note: {note}")
        say(_verdict(file, len(problems)))
    raise typer.Exit(Exit.CONFIG if problems else Exit.OK)


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the settings in force, defaults included, without secrets."""
    loaded = load_config(config, os.environ, Path.cwd())
    values = without_secrets(loaded.config)
    if as_json:
        print_json({"file": str(loaded.file) if loaded.file else None, "config": values})
        return
    typer.echo(f"# {_source(loaded)}")
    typer.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def schema(as_json: JsonOption = True) -> None:
    """Print the JSON schema of the configuration file, for editors."""
    print_json(config_schema())


@app.command()
def reload(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    home: HomeOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running Freehold read its configuration again and apply what changed.

    Only what changed is touched, one server at a time; calls under way end first. A file with a mistake
    changes nothing.
    """
    client = find_running(chosen_home(home), url)
    path = f"/api/v1/config/reload?dry_run={'true' if dry_run else 'false'}"
    plan = client.post(path, ReloadPlan, timeout_s=_RELOAD_S)
    if as_json:
        print_json(plan)
    else:
        for line in plan_lines(plan):
            say(line)
    failed = any(change.outcome == "failed" for change in plan.changes)
    raise typer.Exit(Exit.CONFIG if plan.problems else Exit.FAILED if failed else Exit.OK)


def without_secrets(config: Config) -> dict[str, Any]:
    """The settings as plain values; keys as hashes, provider keys and header values hidden."""
    keys = tuple(normal_hash(key) for key in config.auth.keys)
    providers = {
        name: replace(
            provider,
            api_key="(hidden)" if provider.api_key else None,
            headers=dict.fromkeys(provider.headers, "(hidden)"),
        )
        for name, provider in config.providers.items()
    }
    servers = {
        name: replace(server, env=tuple(_without_value(entry) for entry in server.env))
        for name, server in config.servers.items()
    }
    shown = replace(config, auth=replace(config.auth, keys=keys), providers=providers, servers=servers)
    return msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(shown)))


def _without_value(entry: str) -> str:
    name, given, _ = entry.partition("=")
    return f"{name}=(hidden)" if given else name


def _notes(config: Config) -> list[str]:
    """What is allowed, but will not work as it stands."""
    missing = [
        f"servers.{name}.{key}: there is no file {path}"
        for name, server in config.servers.items()
        for key, path in _files(server)
        if not Path(path).is_file()
    ]
    return [*missing, *_for_nobody(config)] + [
        f"models.{alias}: {candidate} is not in this file, so it must be found on this machine at the start"
        for alias, candidates in config.models.items()
        for candidate in candidates_of(candidates)
        if not _is_offered(config, candidate)
    ]


def _for_nobody(config: Config) -> Iterator[str]:
    """Budgets and prices of what is not in the file: a name with a slip in it would bind nobody."""
    keys = accepted_keys(config.auth.keys).values()
    for position, budget in enumerate(config.budgets):
        kind, _, name = budget.scope.partition(":")
        known = {
            "provider": name in config.providers,
            "model": _is_named(config, name),
            "key": name in keys,
        }.get(kind, True)
        if name != "*" and not known:
            yield f"budgets[{position}].scope: there is no {kind} {name} in this file, so it may bind nobody"
    for name in config.prices:
        if not _is_offered(config, name):
            yield f"prices.{name}: is not in this file, so it may be the price of nothing"


def _is_named(config: Config, name: str) -> bool:
    """Whether a budget's model is one of a provider, by its full name or its own."""
    offers = [provider.models for provider in config.providers.values()]
    return _is_offered(config, name) or any(models == "*" or name in models for models in offers)


def _files(server: ServerConfig) -> list[tuple[str, str]]:
    """The files that a server needs, by their keys."""
    given = {"model": server.model, "draft": server.draft, "projector": server.projector}
    return [(key, path) for key, path in given.items() if path and server.kind == "llama.cpp"]


def _is_offered(config: Config, candidate: str) -> bool:
    provider = config.providers.get(candidate.partition("/")[0])
    if provider is None:
        return candidate in config.servers
    return provider.models == "*" or candidate.partition("/")[2] in provider.models


def _problem(error: ConfigError) -> dict[str, object]:
    return {"line": error.line, "key": error.key, "message": error.message, "nearest": error.nearest}


def _verdict(file: Path | None, problems: int) -> str:
    if file is None:
        return "There is no configuration file: all defaults, and what is found on this machine."
    if problems:
        return f"{problems} problem{'s' if problems > 1 else ''} in {file}."
    return f"{file} is fine."


def _source(loaded: LoadedConfig) -> str:
    return str(loaded.file) if loaded.file else "no configuration file: defaults"
