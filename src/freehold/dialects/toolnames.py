"""Names of tools: what the client calls them, and what an upstream can call them.

Upstreams take letters, digits, `_` and `-` up to a length, and know no namespaces, so Codex's
`namespace` tools are flattened to `namespace__name`. Names depend on the tool alone, never on its
place in the list, so that a prompt's prefix stays stable while tools come and go.
"""

from __future__ import annotations

import hashlib
import re

from freehold.core.catalog import Dialect
from freehold.dialects.context import ToolOrigin

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_LIMITS: dict[Dialect, int] = {"chat": 64, "responses": 64, "messages": 128, "ollama": 64}


class ToolNames:
    """Upstream names given in one request, and where they came from."""

    def __init__(self, upstream: Dialect) -> None:
        self._limit = _LIMITS[upstream]
        self._given: dict[tuple[str, str], str] = {}
        self._origins: dict[str, ToolOrigin] = {}

    def give(self, name: str, namespace: str = "", *, custom: bool = False) -> str:
        """The upstream's name for a tool; the same tool always gets the same name."""
        known = self._given.get((namespace, name))
        if known is None:
            known = self._fresh(name, namespace)
            self._given[(namespace, name)] = known
        if custom or (known != name and known not in self._origins):
            kind = "custom" if custom else "namespace" if namespace else "function"
            self._origins[known] = ToolOrigin(kind=kind, name=name, namespace=namespace)
        return known

    def origins(self) -> dict[str, ToolOrigin]:
        """Upstream name -> origin, for tools whose answers must be changed back."""
        return dict(self._origins)

    def _fresh(self, name: str, namespace: str) -> str:
        glue = "" if not namespace or namespace.endswith("__") else "__"
        flat = _UNSAFE.sub("_", f"{namespace}{glue}{name}") or "tool"
        if len(flat) <= self._limit and flat not in self._given.values():
            return flat
        digest = hashlib.sha256(f"{namespace}\0{name}".encode()).hexdigest()[:8]
        return f"{flat[: self._limit - 9]}_{digest}"
