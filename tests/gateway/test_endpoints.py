"""What each path means."""

from __future__ import annotations

import pytest

from freehold.gateway.endpoints import allowed_methods, endpoint_of, meant


@pytest.mark.parametrize(
    ("path", "name", "carriage", "dialect", "model_optional"),
    [
        (b"/v1/chat/completions", "chat", "dialect", "chat", False),
        (b"/v1/messages", "messages", "dialect", "messages", False),
        (b"/v1/responses", "responses", "dialect", "responses", True),
        (b"/api/chat", "ollama.chat", "dialect", "ollama", False),
        (b"/v1/completions", "completions", "openai", "chat", False),
        (b"/v1/embeddings", "embeddings", "openai", "chat", False),
        (b"/v1/rerank", "rerank", "openai", "chat", False),
        (b"/v1/moderations", "moderations", "openai", "chat", True),
        (b"/v1/images/generations", "images.generations", "openai", "chat", True),
        (b"/v1/images/edits", "images.edits", "upload", "chat", False),
        (b"/v1/audio/speech", "audio.speech", "openai", "chat", False),
        (b"/v1/audio/transcriptions", "audio.transcriptions", "upload", "chat", False),
        (b"/v1/messages/count_tokens", "messages.count_tokens", "count", "messages", False),
        (b"/v1/responses/input_tokens", "responses.input_tokens", "count", "responses", True),
    ],
)
def test_what_a_post_to_a_known_path_means(path, name, carriage, dialect, model_optional):
    found = endpoint_of(b"POST", path)
    assert found is not None
    assert (found.name, found.carriage, found.dialect, found.model_optional) == (
        name,
        carriage,
        dialect,
        model_optional,
    )


@pytest.mark.parametrize(
    ("method", "path", "carriage", "dialect"),
    [
        (b"GET", b"/v1/responses/resp_1", "stored", "responses"),
        (b"DELETE", b"/v1/responses/resp_1", "stored", "responses"),
        (b"POST", b"/v1/responses/resp_1/cancel", "stored", "responses"),
        (b"GET", b"/v1/responses/resp_1/input_items", "stored", "responses"),
        (b"POST", b"/v1/messages/batches", "relay", "messages"),
        (b"GET", b"/v1/messages/batches/b1/results", "relay", "messages"),
        (b"GET", b"/v1/chat/completions", "relay", "chat"),
        (b"POST", b"/v1/threads/runs", "relay", "chat"),
        (b"GET", b"/v1/files", "relay", "chat"),
        (b"PUT", b"/v1/whatever/comes/next", "relay", "chat"),
    ],
)
def test_every_other_path_of_the_vendors_is_relayed(method, path, carriage, dialect):
    found = endpoint_of(method, path)
    assert found is not None
    assert (found.carriage, found.dialect, found.model_optional) == (carriage, dialect, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"GET", b"/"),
        (b"GET", b"/health"),
        (b"GET", b"/dashboard"),
        (b"POST", b"/api/v1/costs"),
        (b"GET", b"/api/tags"),
        (b"GET", b"/api/chat"),
        (b"POST", b"/v1"),
        (b"POST", b"/v10/chat/completions"),
        (b"POST", b"/V1/chat/completions"),
    ],
)
def test_other_paths_are_no_model_calls(method, path):
    assert endpoint_of(method, path) is None


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (b"/v1/messages", (b"POST",)),
        (b"/v1/chat/completions", (b"POST", b"GET")),
        (b"/api/chat", (b"POST",)),
        (b"/v1/files", None),
        (b"/v1/responses/resp_1", None),
    ],
)
def test_the_methods_of_a_path(path, methods):
    assert allowed_methods(path) == methods


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (b"/v1/v1/messages", b"/v1/messages"),
        (b"/v1/v1/messages/batches/b1", b"/v1/messages/batches/b1"),
        (b"/v1/v1/traces", b"/v1/traces"),
        (b"/v1/traces/", b"/v1/traces"),
        (b"/metrics", b"/metrics"),
        (b"/v1/chat/completions/", b"/v1/chat/completions"),
        (b"/chat/completions", b"/v1/chat/completions"),
        (b"/responses/", b"/v1/responses"),
        (b"/models", b"/v1/models"),
        (b"/v1/files/", b"/v1/files/"),
        (b"/v1/models/v1/x", b"/v1/models/v1/x"),
        (b"/files", b"/files"),
        (b"/api/chat", b"/api/chat"),
        (b"/api/v1/models", b"/api/v1/models"),
        (b"/v1", b"/v1"),
        (b"/", b"/"),
        (b"", b""),
    ],
)
def test_a_mistaken_base_url_is_understood_and_everything_else_left_as_it_is(written, path):
    assert meant(written) == path
    assert meant(path) == path
