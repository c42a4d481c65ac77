"""How commands talk to a running Freehold: plain HTTP to its control API, typed answers."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from freehold.cli.exits import NotRunning
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.progress import OWNER_HEADER, RUN_FILE, Running

T = TypeVar("T")
_TIMEOUT_S = 10.0
_OUR_WORDS = (400, 403, 404, 409)
"""Refusals whose words say everything; with others, who answered matters too."""


class KeyWanted(FreeholdError):
    """It wants an API key, and we have none that it takes."""


class _Refusal(msgspec.Struct):
    message: str = ""
    code: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Refusal


class ControlClient:
    """Asks one running Freehold. `key` is an API key, when it wants one."""

    def __init__(self, url: str, key: str | None = None, owner_key: str = "") -> None:
        """`owner_key`: of the state folder, for what callers may not do."""
        self.key = key
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise FreeholdError(f"{url!r} is not an address; expected one like http://127.0.0.1:8400")
        secure = parts.scheme == "https"
        self._connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._host = parts.hostname
        self._port = parts.port
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._headers = {"accept": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        if owner_key:
            self._headers[OWNER_HEADER] = owner_key

    def get(self, path: str, answer: type[T]) -> T:
        """The JSON at `path` as `answer`. Raises NotRunning, or FreeholdError with the server's own words."""
        return self._ask("GET", path, answer, _TIMEOUT_S)

    def post(self, path: str, answer: type[T], timeout_s: float = _TIMEOUT_S, body: object = None) -> T:
        """Order something, with `body` as JSON where there is one, and wait for its JSON answer. Raises as
        `get`."""
        sent = None if body is None else msgspec.json.encode(body)
        return self._ask("POST", path, answer, timeout_s, sent)

    def _ask(self, method: str, path: str, answer: type[T], timeout_s: float, body: bytes | None = None) -> T:
        connection = self._connect(self._host, self._port, timeout=timeout_s)
        try:
            kind = {} if body is None else {"content-type": "application/json"}
            connection.request(method, path, body=body, headers=self._headers | kind)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotRunning(
                f"no Freehold answers at {self.url} ({why}); start it with `freehold up`"
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise self._refusal(response.status, body)
        try:
            return msgspec.json.decode(body, type=answer)
        except msgspec.MsgspecError as error:
            raise NotRunning(
                f"what answers at {self.url} is not this version of Freehold ({error})"
            ) from error

    def _refusal(self, status: int, body: bytes) -> FreeholdError:
        """What was refused, as the error that says so with its own exit status."""
        if status == 401:
            return KeyWanted(f"{self.url} wants an API key: set FREEHOLD_KEY")
        try:
            refused = msgspec.json.decode(body, type=_ErrorBody).error
        except msgspec.MsgspecError:
            return FreeholdError(f"{self.url} answered {status}: it may not be Freehold")
        if refused.code == "bad_configuration":
            return ConfigError(refused.message)
        if status in _OUR_WORDS and refused.message:
            return FreeholdError(refused.message)
        return FreeholdError(f"{self.url} answered {status}: {refused.message}")


def find_running(home: Path, url: str | None) -> ControlClient:
    """A client for `url`, or for the Freehold whose state is in `home`. The key comes from $FREEHOLD_KEY."""
    return ControlClient(url or read_running(home).url, os.environ.get("FREEHOLD_KEY"))


def find_own(home: Path, url: str | None) -> ControlClient:
    """The same for orders that only who can read the state folder may give."""
    note = read_running(home)
    return ControlClient(url or note.url, os.environ.get("FREEHOLD_KEY"), note.owner_key)


def told_by_running(home: Path, url: str | None, path: str, answer: type[T]) -> T | None:
    """What the running Freehold says; None where none runs, or it wants a key that we do not have: then files
    tell. Who names an address wants that one: raises as `get`."""
    try:
        return find_running(home, url).get(path, answer)
    except (NotRunning, KeyWanted):
        if url is not None:
            raise
        return None


def read_running(home: Path) -> Running:
    """What the running Freehold wrote about itself. Raises NotRunning when there is nothing readable."""
    try:
        return msgspec.json.decode((home / RUN_FILE).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError) as error:
        raise NotRunning(
            f"Freehold is not running on the state folder {home}; start it with `freehold up`, "
            "or say where it answers with --url"
        ) from error
