"""Which calls the cache serves: by the configuration, and by what a call itself says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, cast

import msgspec

from freehold.core.config_cache import ExactCacheConfig, SemanticCacheConfig
from freehold.core.errors import CallError

Mode = Literal["", "on", "off", "only", "refresh"]
"""What a call says. Empty: nothing. on: also where the configuration leaves it out. off: neither look nor
keep. only: a kept answer or none. refresh: ask the model, and keep its answer in place of an older one."""

HEADER = b"x-freehold-cache"
_MODES = ("on", "off", "only", "refresh")


def mode_of(headers: Mapping[bytes, bytes]) -> Mode | CallError:
    """`x-freehold-cache`, or what is wrong with it."""
    said = headers.get(HEADER)
    if said is None:
        return ""
    word = said.strip().lower().decode("latin-1")
    if word in _MODES:
        return cast(Mode, word)
    return CallError(
        kind="invalid_request",
        status=400,
        param=HEADER.decode(),
        message=f"the header {HEADER.decode()} must be one of {', '.join(_MODES)}",
    )


def nothing_kept(reason: str) -> CallError:
    """For `only`, when there is no answer: 504, as RFC 9111 §5.2.1.7 wants for `only-if-cached`."""
    return CallError(kind="timeout", status=504, code="not_cached", message=f"no kept answer: {reason}")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The names that a part of the cache is for."""

    models: Collection[str] = ()
    agents: Collection[str] = ()
    by_default: bool
    """Whether empty lists mean everybody."""

    @classmethod
    def of(cls, config: ExactCacheConfig | SemanticCacheConfig) -> Selection:
        return cls(
            models=frozenset(config.models),
            agents=frozenset(config.agents),
            by_default=isinstance(config, ExactCacheConfig),
        )

    def has(self, model: str, agent: str) -> bool:
        """Whether a call for `model` by `agent` is served. Exact: both lists must agree, an empty one does.
        Semantic: one of them must name it."""
        if self.by_default:
            return (not self.models or model in self.models) and (not self.agents or agent in self.agents)
        return model in self.models or agent in self.agents
