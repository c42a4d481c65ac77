"""The dearest that a call can become, so that so much can be held before it is sent. Pure.

Tokens of text are never more than its bytes in UTF-8: every tokenizer in use falls back to bytes and has no
token for less than one. JSON around a message is longer than the few tokens that a template adds. What a body
does not show (an earlier answer that the provider keeps, a document behind an address, pages that a tool of
the provider reads) is bounded by what a model can read at all.
"""

from __future__ import annotations

import re

import msgspec

from freehold.costs.prices import PER, Rates

CONTEXT_TOKENS = 1_000_000
"""What a model can read at all, where nobody knows."""
OUTPUT_TOKENS = 131_072
"""What a model can say at all, where neither the request nor anybody else says less."""
PICTURE_TOKENS = 50_000
"""The dearest picture of any vendor: gpt-4o-mini counts 2,833 tokens and 5,667 for each of up to eight tiles
(OpenAI, "Images and vision", calculating costs)."""
TOOLS_TOKENS = 2_048
"""What a vendor may write before a request with tools (Anthropic, "Tool use", pricing: below 1,500)."""
SEARCHES = 10
"""Searches of one call, where its tool says no `max_uses`."""

_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/\\])[A-Za-z0-9+/\\]{2048,}+")
"""Bytes of a picture, a sound or a document (some write a slash as `\\/`)."""
_PICTURE = re.compile(rb'"type"\s*+:\s*+"(?:image|image_url|input_image)"')
_SEARCH = re.compile(rb'"type"\s*+:\s*+"(?:web_search|x_search)|"web_search_options"\s*+:\s*+\{')
_ELSEWHERE = re.compile(
    rb'"(?:previous_response_id|file_id|file_url|file_data)"\s*+:\s*+"|"conversation"\s*+:\s*+(?:"conv_|\{\s*+"id")'
    rb'|"application/pdf"|data:application/'
)
_BY_ADDRESS = re.compile(rb'"type"\s*+:\s*+"(?:url|file)"')
_AUDIO = (b'"audio"', b'"input_audio"', b'"audio_url"')
_SOUND_BYTES = 16
"""A token of sound stands for more bytes than this, in every coding of sound."""


class InputBound(msgspec.Struct, frozen=True, kw_only=True):
    """At most so much goes in. `audio` and `writes` say whether dearer rates than those of text may apply."""

    tokens: int
    audio: bool = False
    writes: bool = True
    """To the provider's cache."""
    searches: int = 0


def input_bound(
    body: bytes, *, marks_cache: bool = False, context_tokens: int = CONTEXT_TOKENS
) -> InputBound:
    """What a request's body can come to.

    `marks_cache`: this provider writes its cache only where the body says `cache_control` (Anthropic).
    `context_tokens` bounds what the body does not show, where the model's own bound is known.
    """
    audio = any(sign in body for sign in _AUDIO)
    searches = SEARCHES if b"search" in body and _SEARCH.search(body) else 0
    tokens = _shown_tokens(body, audio=audio)
    if searches or _ELSEWHERE.search(body) or (b'"document"' in body and _BY_ADDRESS.search(body)):
        tokens = max(tokens, context_tokens)
    return InputBound(
        tokens=tokens,
        audio=audio,
        writes=not marks_cache or b"cache_control" in body,
        searches=searches,
    )


def _shown_tokens(body: bytes, *, audio: bool) -> int:
    """Of what the body itself holds."""
    tokens = len(body)
    pictures = len(_PICTURE.findall(body)) if b"image" in body else 0
    if b"base64" in body or b'"data"' in body:
        blobs = [len(blob) for blob in _BASE64.findall(body)]
        tokens -= sum(blobs)
        if audio:
            tokens += sum(blobs) // _SOUND_BYTES
        pictures = max(pictures, len(blobs))
    if b'"tools"' in body:
        tokens += TOOLS_TOKENS
    return tokens + pictures * PICTURE_TOKENS


def worst_case_nanos(rates: Rates, bound: InputBound, output_tokens: int) -> int | None:
    """The largest cost of a call with at most this input and output, in nano-USD; None: nobody can say.

    Every kind of token is taken at the dearest rate that may apply, in each tier that the input can reach.
    `output_tokens` is over all choices; 0 for what only reads (embeddings).
    """
    if (bound.tokens and "fresh_in" in rates.unpriced) or (output_tokens and "visible_out" in rates.unpriced):
        return None
    worst = 0
    edges = [threshold for threshold, _ in rates.tiers if threshold < bound.tokens]
    for tier, until in zip((rates, *(each for _, each in rates.tiers)), (*edges, bound.tokens), strict=False):
        worst = max(worst, until * _input_rate(tier, bound) + _rest(tier, bound, output_tokens))
    return -(-worst // PER)


def affordable_output(rates: Rates, bound: InputBound, nanos: int) -> int:
    """The most output tokens with which the worst case is still within `nanos`; 0 when not even the input is.

    For a request that sets no bound of its own: with this one it can be sent.
    """
    low, high = 0, OUTPUT_TOKENS
    while low < high:
        middle = (low + high + 1) // 2
        worst = worst_case_nanos(rates, bound, middle)
        if worst is not None and worst <= nanos:
            low = middle
        else:
            high = middle - 1
    return low


def _input_rate(rates: Rates, bound: InputBound) -> int:
    rate = max(rates.fresh_in, rates.cache_read, rates.image_in)
    if bound.writes:
        rate = max(rate, rates.cache_write_5m, rates.cache_write_1h)
    return max(rate, rates.audio_in) if bound.audio else rate


def _rest(rates: Rates, bound: InputBound, output_tokens: int) -> int:
    rate = max(rates.visible_out, rates.reasoning, rates.image_out)
    if bound.audio:
        rate = max(rate, rates.audio_out)
    return output_tokens * rate + bound.searches * rates.web_searches + rates.per_call
