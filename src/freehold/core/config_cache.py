"""The `cache:` part of `freehold.yaml`, and its rules. Pure: values in, problems out.

Off unless said: what is not under `cache:` does not happen. How a request is recognised, and what is never
kept, is decided in `cache`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from freehold.core.config_server_checks import Problem
from freehold.core.config_servers import Count, Duration, Size, Word

Names = tuple[Word, ...]
Threshold = Annotated[float, Meta(gt=0, le=1)]


class ExactCacheConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same request again gets the same answer, without a model."""

    models: Annotated[
        Names,
        Meta(
            description="Only calls that ask for one of these names. By default all.",
            examples=[["fast", "openai/gpt-5-mini"]],
        ),
    ] = ()
    agents: Annotated[
        Names, Meta(description="Only calls of these agents (`x-freehold-agent`). By default all.")
    ] = ()
    ttl_s: Annotated[Duration, Meta(description="How long an answer may be used.", examples=["1h"])] = field(
        name="ttl", default=3600.0
    )
    entries: Annotated[Count, Meta(description="Most answers kept in memory.")] = 1000
    memory_bytes: Annotated[Size, Meta(description="Most memory for them.")] = field(
        name="memory", default=64 * 1024**2
    )
    disk: Annotated[
        Word | None,
        Meta(
            description="Folder that keeps answers over a restart, too; relative to the configuration file. "
            "It then holds what models answered, readable for this user only.",
            examples=["~/.cache/freehold"],
        ),
    ] = None
    disk_bytes: Annotated[Size, Meta(description="Most that may lie there.")] = field(
        name="disk_size", default=256 * 1024**2
    )
    sampled: Annotated[
        bool,
        Meta(
            description="Also requests whose answer is drawn by chance (`temperature` above 0 or not said). "
            "With `false` only those with `temperature: 0` or a `seed`, and embeddings."
        ),
    ] = True
    tools: Annotated[
        Names | Literal["*"],
        Meta(
            description="Tools whose calls change nothing, so that an answer that calls them may be kept; "
            'also tools that the provider runs, by their type. `"*"`: all. By default an answer that calls a '
            "tool is not kept, and a request with a provider's own tool passes the cache by.",
            examples=[["search_docs", "web_search"]],
        ),
    ] = ()
    shared: Annotated[
        bool,
        Meta(description="API keys and projects share answers. By default each key and project has its own."),
    ] = False


class SemanticCacheConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question that means the same as one before gets its answer. Say for whom: an alias or an agent."""

    models: Annotated[
        Names, Meta(description="Calls that ask for one of these names.", examples=[["support"]])
    ] = ()
    agents: Annotated[Names, Meta(description="Calls of these agents (`x-freehold-agent`).")] = ()
    embeddings: Annotated[
        Word | None,
        Meta(
            description="The server, or `PROVIDER/model-id`, that makes embeddings. By default none is "
            "asked: questions are compared by their words, which finds less.",
            examples=["nomic"],
        ),
    ] = None
    threshold: Annotated[
        Threshold | None,
        Meta(
            description="How alike two questions must be, as the cosine of their embeddings. By default 0.9 "
            "with an embedding model; comparing words has a measure of its own."
        ),
    ] = None
    ttl_s: Annotated[Duration, Meta(description="How long an answer may be used.")] = field(
        name="ttl", default=3600.0
    )
    entries: Annotated[Count, Meta(description="Most questions remembered.")] = 1000


class CacheConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that need no model, and help for the providers' own prompt caches."""

    exact: Annotated[
        ExactCacheConfig | None, Meta(description="The same request again gets the same answer.")
    ] = None
    semantic: Annotated[
        SemanticCacheConfig | None,
        Meta(description="A question that means the same as one before gets its answer."),
    ] = None
    prompt_help: Annotated[
        Literal["off", "translated", "all"],
        Meta(
            description="Mark what Anthropic shall keep of a prompt, where that pays: never, in requests "
            "that are translated for it (OpenAI clients cannot set marks), or in all without marks. Unless "
            "it is off, others than Anthropic do not get the line about itself that Claude Code begins with."
        ),
    ] = "translated"

    @property
    def answers(self) -> bool:
        """Whether any answer is kept."""
        return self.exact is not None or self.semantic is not None


def cache_problems(cache: CacheConfig, *, known: Collection[str], discover: bool) -> Iterator[Problem]:
    """Every broken rule, in the order of the keys. `known`: servers, providers and names of their own;
    `discover`: more may be found on the machine, so an unknown name is no mistake yet."""
    exact, semantic = cache.exact, cache.semantic
    if exact is not None and not exact.ttl_s:
        yield Problem(("cache", "exact", "ttl"), "is 0, so nothing would be kept; drop `exact` instead")
    if semantic is None:
        return
    if not semantic.models and not semantic.agents:
        yield Problem(
            ("cache", "semantic"),
            "says for nobody; name `models` or `agents` whose questions may be answered from similar ones",
        )
    name = semantic.embeddings
    if name is not None and not discover and name not in known and name.partition("/")[0] not in known:
        yield Problem(
            ("cache", "semantic", "embeddings"),
            f"'{name}' is not a server, or a provider's model (PROVIDER/model-id)",
        )
    if not semantic.ttl_s:
        yield Problem(("cache", "semantic", "ttl"), "is 0, so nothing would be kept; drop `semantic` instead")
