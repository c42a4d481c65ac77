"""Secrets stay where they belong: the caller's key with us, the provider's key with its provider."""

from __future__ import annotations

import base64

import pytest

from freehold.testing.standin import Behaviour
from tests.house import ALPHA_KEY, BETA_KEY, CLAUDE_KEY, CLIENT_KEY
from tests.talk import DIALECTS, FORM, HOMES, PATHS, asking, upload

KEYS = {"alpha": ALPHA_KEY, "beta": BETA_KEY, "claude": CLAUDE_KEY}
PROMPT = "the-recipe-of-the-secret-sauce"


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {CLIENT_KEY}"}, {"x-api-key": CLIENT_KEY}])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("place", KEYS)
def test_each_provider_gets_its_own_key_and_never_the_callers(town, model, client, place, headers):
    sent = headers | {"cookie": "session=caller"}
    with town.house.wire() as wire:
        answer = wire.call(PATHS[client], asking(client, f"{place}/{model}"), headers=sent)
    assert answer.status == 200
    seen = getattr(town, place).seen[0]
    if place == "claude":
        assert (seen.header("x-api-key"), seen.header("authorization")) == (CLAUDE_KEY, None)
        assert seen.header("anthropic-version")
    else:
        assert (seen.header("authorization"), seen.header("x-api-key")) == (f"Bearer {KEYS[place]}", None)
    assert seen.header("cookie") is None
    others = [key for name, key in KEYS.items() if name != place] + [CLIENT_KEY]
    assert [key for key in others if key in str(seen.headers) or key.encode() in seen.body] == []


def test_the_upload_path_swaps_the_key_too(town, model):
    sent = FORM | {"authorization": f"Bearer {CLIENT_KEY}"}
    with town.house.wire() as wire:
        wire.call("/v1/audio/transcriptions", upload(f"alpha/{model}", b"x"), headers=sent)
    assert town.alpha.seen[0].header("authorization") == f"Bearer {ALPHA_KEY}"


@pytest.mark.parametrize("place", KEYS)
def test_an_upstream_that_echoes_our_key_in_an_error_does_not_leak_it_to_the_receipt(town, model, place):
    dialect = "messages" if place == "claude" else "chat"
    said = f'{{"error":{{"message":"bad key {KEYS[place]}","type":"t","param":null,"code":null}}}}'.encode()
    getattr(town, place).script(Behaviour(status=401, body=said))
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    assert KEYS[place].encode() not in answer.body
    assert KEYS[place] not in town.house.receipt().error


def test_nothing_on_the_disk_or_in_the_log_tells_a_secret(town, model):
    """Payloads are off by default: neither keys nor what was said is anywhere in the home folder."""
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    town.alpha.by_model[model] = town.claude.by_model[model] = Behaviour(pieces=(PROMPT,))
    town.beta.by_model[model] = Behaviour(status=400, body=b"no " + bytes(9))
    with town.house.wire() as wire:
        for client in DIALECTS:
            for place in (HOMES[client], "beta"):
                for stream in (False, True):
                    body = asking(client, f"{place}/{model}", text=PROMPT, stream=stream)
                    wire.call(PATHS[client], body, headers=headers)
        wire.call(PATHS["chat"], f'{{"model": "{PROMPT}'.encode(), headers=headers)
    secrets = [key.encode() for key in (CLIENT_KEY, PROMPT, *KEYS.values())]
    secrets += [base64.b64encode(secret).rstrip(b"=")[:-2] for secret in secrets]
    written = town.house.written()
    assert len(written) > 5
    for path, content in written.items():
        assert [secret for secret in secrets if secret in content] == [], path


def test_the_home_folder_is_for_its_owner_only(town):
    assert town.house.home.stat().st_mode & 0o077 == 0
