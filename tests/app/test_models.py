"""Names and places as people and the control API see them."""

from __future__ import annotations

import pytest

from freehold.app.model_rows import model_rows
from freehold.app.models import model_views
from freehold.core.catalog import Catalog, Deployment
from freehold.core.progress import ModelRow
from freehold.core.servers import ServerState, ServerView
from freehold.testing.tiny_model import MODEL_NAME
from freehold.web.control import ModelView, PlaceView

CLOUD = Deployment(name="alpha/gpt", model_id="gpt", provider="alpha")
LOCAL = Deployment(name="qwen", model_id="qwen-id", server="qwen")
TINY = Deployment(name=MODEL_NAME, model_id=MODEL_NAME, server=MODEL_NAME)
CATALOG = Catalog(
    deployments={place.name: place for place in (CLOUD, LOCAL, TINY)},
    aliases={"smart": ("qwen", "alpha/gpt")},
)


def server(name: str = "qwen", state: ServerState = ServerState.READY) -> ServerView:
    return ServerView(name=name, engine="llama.cpp", model="q.gguf", model_id=name, state=state)


SERVERS = {"qwen": server(), MODEL_NAME: server(MODEL_NAME, ServerState.STOPPED)}


def test_aliases_come_first_then_every_place_under_its_own_name():
    at_alpha = PlaceView(deployment="alpha/gpt", model_id="gpt", provider="alpha")
    at_qwen = PlaceView(deployment="qwen", model_id="qwen-id", server="qwen")
    tiny = PlaceView(deployment=MODEL_NAME, model_id=MODEL_NAME, server=MODEL_NAME, state="stopped")
    assert model_views(CATALOG, SERVERS, frozenset()) == [
        ModelView(name="smart", kind="alias", places=(at_qwen, at_alpha)),
        ModelView(name="alpha/gpt", kind="model", places=(at_alpha,)),
        ModelView(name="qwen", kind="model", places=(at_qwen,)),
        ModelView(name=MODEL_NAME, kind="model", places=(tiny,), test_only=True),
    ]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (ServerState.READY, "available"),
        (ServerState.STARTING, "starting"),
        (ServerState.LOADING, "loading"),
        (ServerState.BACKOFF, "starting"),
        (ServerState.FAILED, "failed"),
        (ServerState.STOPPED, "stopped"),
        (ServerState.STOPPING, "stopped"),
        (ServerState.DRAINING, "stopped"),
    ],
)
def test_a_place_is_in_the_state_of_its_server(state, shown):
    catalog = Catalog(deployments={"qwen": LOCAL})
    (view,) = model_views(catalog, {"qwen": server(state=state)}, frozenset())
    assert view.places[0].state == shown


def test_a_place_whose_server_is_gone_has_failed():
    (view,) = model_views(Catalog(deployments={"qwen": LOCAL}), {}, frozenset())
    assert view.places[0].state == "failed"


def test_a_place_that_is_left_alone_for_a_while_rests():
    (view,) = model_views(Catalog(deployments={"alpha/gpt": CLOUD}), {}, frozenset(("alpha/gpt",)))
    assert view.places[0].state == "resting"


def test_the_table_at_the_end_of_a_start_says_where_each_name_runs():
    assert model_rows(CATALOG, SERVERS) == (
        ModelRow(name="smart", where="qwen, then alpha/gpt"),
        ModelRow(name="alpha/gpt", where="alpha"),
        ModelRow(name="qwen", where="llama.cpp on this machine", state="ready"),
        ModelRow(name=MODEL_NAME, where="llama.cpp on this machine", state="stopped", test_only=True),
    )


def test_a_machine_without_models_has_an_empty_table():
    assert model_rows(Catalog(), {}) == ()
