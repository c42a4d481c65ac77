"""From the name that a client asked for to the deployments to try, in order, with the reason.

Pure: a function of the catalog. Health is judged by `breaker`, what follows a failure by `fallback`.
"""

from __future__ import annotations

import difflib

import msgspec

from freehold.core.catalog import Catalog, Deployment


class Choice(msgspec.Struct, frozen=True):
    """Deployments in the order in which they are to be tried, and why these."""

    candidates: tuple[Deployment, ...]
    reason: str


class NoSuchModel(msgspec.Struct, frozen=True):
    """Nothing serves that name. `nearest` are spellings that exist (at most three)."""

    asked: str
    nearest: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    """Deployments that share the plain id, when that is why nothing was chosen."""


def choose(catalog: Catalog, asked: str) -> Choice | NoSuchModel:
    """Resolve `asked`.

    1. an alias: its candidates in order
    2. a deployment's full name (`PROVIDER/id` or a server)
    3. `PROVIDER/id` where the provider takes any id
    4. a plain id that exactly one deployment has
    5. a plain id and exactly one provider that takes any id
    """
    alias = catalog.aliases.get(asked)
    if alias is not None:  # 1
        found = [deployment for name in alias if (deployment := _named(catalog, name)) is not None]
        if found:
            return Choice(tuple(found), f"alias {asked}")
    deployment = _named(catalog, asked)
    if deployment is not None:  # 2, 3
        return Choice((deployment,), "asked by name")
    same_id = [d for d in catalog.deployments.values() if d.model_id == asked]
    if len(same_id) == 1:  # 4
        return Choice((same_id[0],), f"only place with {asked}")
    if same_id:
        return NoSuchModel(asked, ambiguous=tuple(d.name for d in same_id))
    if len(catalog.wildcards) == 1:  # 5
        provider = catalog.wildcards[0]
        return Choice((_open_ended(provider, asked),), f"{provider} takes any model")
    return NoSuchModel(asked, nearest=nearest_names(catalog, asked))


def nearest_names(catalog: Catalog, asked: str) -> tuple[str, ...]:
    """Up to three names that exist and look like `asked`."""
    known = {*catalog.aliases, *catalog.deployments, *(d.model_id for d in catalog.deployments.values())}
    return tuple(difflib.get_close_matches(asked, sorted(known), n=3, cutoff=0.5))


def _named(catalog: Catalog, name: str) -> Deployment | None:
    deployment = catalog.deployments.get(name)
    if deployment is not None:
        return deployment
    provider, slash, model_id = name.partition("/")
    if slash and model_id and provider in catalog.wildcards:
        return _open_ended(provider, model_id)
    return None


def _open_ended(provider: str, model_id: str) -> Deployment:
    return Deployment(name=f"{provider}/{model_id}", model_id=model_id, provider=provider)
