"""What the gateway answers itself: health, the lists of models, Ollama's probes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.catalog import Catalog, Deployment
from freehold.core.errors import CallError
from freehold.gateway import local
from freehold.gateway.request import Request

NOW_MS = 1_790_000_000_999
CATALOG = Catalog(
    deployments={
        "alpha/gpt": Deployment(name="alpha/gpt", model_id="gpt", provider="alpha"),
        "alpha/org/m": Deployment(name="alpha/org/m", model_id="org/m", provider="alpha"),
        "qwen": Deployment(name="qwen", model_id="qwen", server="qwen"),
    },
    aliases={"smart": ("alpha/gpt", "qwen")},
)
NAMES = ["smart", "alpha/gpt", "alpha/org/m", "qwen"]


def request(target: str, method: str = "GET", *, anthropic: bool = False) -> Request:
    made = Request()
    made.method = method.encode()
    made.target = target.encode()
    made.path = made.target.partition(b"?")[0]
    made.lookup = {b"host": b"h"} | ({b"anthropic-version": b"2023-06-01"} if anthropic else {})
    return made


def split(whole: bytes | None) -> tuple[int, dict[str, str], bytes]:
    assert whole is not None
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


def answered(target: str, *, anthropic: bool = False, catalog: Catalog = CATALOG) -> tuple[int, Any]:
    status, headers, body = split(local.answer(catalog, request(target, anthropic=anthropic), NOW_MS))
    assert headers["content-length"] == str(len(body))
    return status, json.loads(body)


def test_openais_list_has_every_name_with_its_owner():
    status, found = answered("/v1/models")
    assert (status, found["object"]) == (200, "list")
    assert [one["id"] for one in found["data"]] == NAMES
    assert found["data"][1] == {
        "id": "alpha/gpt",
        "object": "model",
        "created": 1_790_000_000,
        "owned_by": "alpha",
    }
    assert [one["owned_by"] for one in found["data"]] == ["freehold", "alpha", "alpha", "freehold"]


@pytest.mark.parametrize(
    ("query", "page", "more"),
    [
        ("", NAMES, False),
        ("?limit=1000", NAMES, False),
        ("?limit=2", NAMES[:2], True),
        ("?limit=2&after_id=alpha%2Fgpt", NAMES[2:], False),
        ("?after_id=qwen", [], False),
        ("?after_id=nobody", NAMES, False),
    ],
)
def test_anthropics_list_comes_in_pages(query, page, more):
    status, found = answered("/v1/models" + query, anthropic=True)
    assert status == 200
    assert [one["id"] for one in found["data"]] == page
    assert found["has_more"] is more
    assert (found["first_id"], found["last_id"]) == ((page[0], page[-1]) if page else (None, None))
    assert all(one["type"] == "model" and one["display_name"] == one["id"] for one in found["data"])


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "%C2%B2", "9" * 5000])
def test_a_limit_that_is_no_number_is_an_error_in_anthropics_words(limit):
    status, found = answered(f"/v1/models?limit={limit}", anthropic=True)
    assert (status, found["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "asked", ["smart", "alpha/gpt", "alpha%2Fgpt", "alpha/org/m", "qwen", "gpt", "org/m"]
)
def test_a_model_that_can_be_called_can_be_looked_at(asked):
    status, found = answered(f"/v1/models/{asked}")
    assert (status, found["object"]) == (200, "model")
    assert found["id"] == asked.replace("%2F", "/")


def test_a_model_of_a_provider_that_takes_any_can_be_looked_at():
    status, found = answered("/v1/models/whatever-1", catalog=Catalog(wildcards=("open",)))
    assert (status, found["id"]) == (200, "whatever-1")


@pytest.mark.parametrize(("anthropic", "kind"), [(False, "invalid_request_error"), (True, "not_found_error")])
def test_a_model_that_is_nowhere_is_not_found(anthropic, kind):
    status, found = answered("/v1/models/nobody", anthropic=anthropic)
    assert (status, found["error"]["type"]) == (404, kind)
    assert "nobody" in found["error"]["message"]


def test_ollamas_probes_are_answered():
    _, tags = answered("/api/tags")
    assert [one["name"] for one in tags["models"]] == NAMES
    _, version = answered("/api/version")
    assert version["version"]


@pytest.mark.parametrize(
    "target", ["/v1/models", "/v1/models/smart", "/v1/models/nobody", "/api/tags", "/api/version"]
)
def test_head_gets_the_same_head_and_no_body(target):
    got = split(local.answer(CATALOG, request(target), NOW_MS))
    assert split(local.answer(CATALOG, request(target, "HEAD"), NOW_MS)) == (*got[:2], b"")


def test_a_probe_of_the_root_is_answered():
    assert split(local.answer(CATALOG, request("/", "HEAD"), NOW_MS))[0] == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/dashboard"),
        ("GET", "/api/v1/status"),
        ("POST", "/api/tags"),
        ("POST", "/v1/models"),
    ],
)
def test_other_paths_are_the_control_applications(method, target):
    assert local.answer(CATALOG, request(target, method), NOW_MS) is None


@pytest.mark.parametrize(("well", "status", "word"), [(True, 200, "ok"), (False, 503, "no_ledger")])
def test_health_says_whether_calls_are_taken(well, status, word):
    got, _, body = split(local.health(request("/health"), well=well))
    assert (got, json.loads(body)["status"]) == (status, word)
    assert split(local.health(request("/health", "HEAD"), well=well))[2] == b""


def test_health_is_asked_for_not_told():
    status, headers, _ = split(local.health(request("/health", "POST"), well=True))
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("anthropic", "word"), [(False, "code"), (True, "request_id")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_refusal_speaks_as_its_caller_does(anthropic, word, method):
    error = CallError(kind="permission", status=403, message="no", code="c")
    status, headers, body = split(local.refusal(request("/x", method, anthropic=anthropic), error))
    assert status == 403
    assert (word.encode() in body) == (method == "GET")
    assert int(headers["content-length"]) > 0
