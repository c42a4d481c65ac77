"""Help for Anthropic's prompt cache: which requests get marks on their way there."""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.cache.prompt_marks import PrefixMemory, marked
from freehold.gateway.prepared import Prepared
from freehold.gateway.targets import Target


class Marker:
    """Remembers which prompts begin alike. `which`: requests that were translated for Anthropic, or all."""

    def __init__(self, which: Literal["translated", "all"]) -> None:
        self._all = which == "all"
        self._prefixes = PrefixMemory()

    def mark(self, prepared: Prepared, target: Target, now_ms: int) -> Prepared:
        """The same request with marks, where they pay."""
        if prepared.dialect != "messages" or not prepared.target.startswith(b"/v1/messages"):
            return prepared
        if prepared.context is None and not self._all:
            return prepared
        found = marked(prepared.body, target.deployment.model_id, self._prefixes, now_ms)
        return msgspec.structs.replace(prepared, body=found.body) if found.marks else prepared
