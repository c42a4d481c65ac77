"""Names that a client may ask for, and where each runs, as people and the control API see them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from freehold.core.catalog import Catalog, Deployment
from freehold.core.servers import ServerState, ServerView
from freehold.testing.tiny_model import MODEL_NAME
from freehold.web.control import ModelView, PlaceView

PlaceState = Literal["available", "resting", "starting", "loading", "stopped", "failed"]

_STATES: dict[ServerState, PlaceState] = {
    ServerState.READY: "available",
    ServerState.STARTING: "starting",
    ServerState.BACKOFF: "starting",
    ServerState.LOADING: "loading",
    ServerState.FAILED: "failed",
}


def model_views(
    catalog: Catalog, servers: Mapping[str, ServerView], resting: frozenset[str]
) -> list[ModelView]:
    """Aliases first, then every deployment under its own name."""
    views = [
        ModelView(
            name=alias,
            kind="alias",
            places=tuple(_place(catalog.deployments[name], servers, resting) for name in names),
        )
        for alias, names in catalog.aliases.items()
    ]
    for name, deployment in catalog.deployments.items():
        views.append(
            ModelView(
                name=name,
                kind="model",
                places=(_place(deployment, servers, resting),),
                test_only=deployment.server == MODEL_NAME,
            )
        )
    return views


def _place(deployment: Deployment, servers: Mapping[str, ServerView], resting: frozenset[str]) -> PlaceView:
    state: PlaceState = "available"
    if deployment.server is not None:
        view = servers.get(deployment.server)
        state = _STATES.get(view.state, "stopped") if view is not None else "failed"
    elif deployment.name in resting:
        state = "resting"
    return PlaceView(
        deployment=deployment.name,
        model_id=deployment.model_id,
        provider=deployment.provider,
        server=deployment.server,
        state=state,
    )
