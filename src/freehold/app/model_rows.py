"""Names that a client may ask for as short rows, for the table that `freehold up` ends with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from freehold.core.catalog import Catalog, Deployment
from freehold.core.progress import ModelRow
from freehold.core.servers import ServerView
from freehold.testing.tiny_model import MODEL_NAME


def model_rows(catalog: Catalog, servers: Mapping[str, ServerView]) -> tuple[ModelRow, ...]:
    """Aliases first, then every deployment under its own name."""
    return tuple(_rows(catalog, servers))


def _rows(catalog: Catalog, servers: Mapping[str, ServerView]) -> Iterator[ModelRow]:
    for alias, names in catalog.aliases.items():
        yield ModelRow(name=alias, where=", then ".join(names))
    for name, deployment in catalog.deployments.items():
        yield _row(name, deployment, servers.get(deployment.server or ""))


def _row(name: str, deployment: Deployment, server: ServerView | None) -> ModelRow:
    if server is None:
        return ModelRow(name=name, where=deployment.provider or "")
    return ModelRow(
        name=name,
        where=f"{server.engine} on this machine",
        state=server.state.value,
        test_only=deployment.server == MODEL_NAME,
    )
