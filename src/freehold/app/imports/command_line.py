"""A `llama-server` command line made into keys of ours; what has no key goes on as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TEXTS = {
    **dict.fromkeys(("-m", "--model"), "model"),
    **dict.fromkeys(("-md", "--model-draft", "--spec-draft-model"), "draft"),
    **dict.fromkeys(("-mm", "--mmproj"), "projector"),
}
_NUMBERS = {
    **dict.fromkeys(("-c", "--ctx-size"), "context"),
    **dict.fromkeys(("-np", "--parallel"), "slots"),
    **dict.fromkeys(("-ngl", "--gpu-layers", "--n-gpu-layers"), "gpu_layers"),
}
_CACHE_TYPES = frozenset(("-ctk", "--cache-type-k", "-ctv", "--cache-type-v"))
_OURS_WITH_VALUE = frozenset(("--host", "--port", "-a", "--alias", "--api-key"))
_OURS = frozenset(("--metrics", "--slots", "--jinja"))
"""What Freehold says itself."""
_KV = ("f16", "q8_0", "q4_0")
_FROM_A_HUB = frozenset(("-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "-hff", "--hf-file"))


def is_llama_server(words: Sequence[str]) -> bool:
    """Whether the line runs llama.cpp's server on a model file of this machine."""
    program = words[0].rsplit("/", 1)[-1] if words else ""
    return (
        program.startswith("llama-server")
        and not _FROM_A_HUB & set(words)
        and any(word in ("-m", "--model") for word in words)
    )


def server_keys(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The section for such a line, and notes. `words[0]` is the program, which the caller places."""
    section: dict[str, Any] = {}
    args: list[str] = []
    kv: list[str] = []
    left = list(words[1:])
    while left:
        option, value = _next(left)
        if option in _TEXTS and value is not None:
            section[_TEXTS[option]] = value
        elif option in _NUMBERS and value is not None and value.isdecimal():
            section[_NUMBERS[option]] = int(value)
        elif option in _CACHE_TYPES and value is not None:
            kv.append(value)
        elif option not in _OURS and option not in _OURS_WITH_VALUE:
            args += [option] if value is None else [option, value]
    notes = _context(section)
    if kv and len(set(kv)) == 1 and kv[0] in _KV:
        section["kv"] = kv[0]
    elif kv:
        notes.append(f"cache types {' and '.join(kv)}: set `kv` to one of {', '.join(_KV)}")
    if args:
        section["args"] = args
    return section, notes


def _next(left: list[str]) -> tuple[str, str | None]:
    """The next option and its value, if it has one: a word that is no option follows, or a number."""
    option = left.pop(0)
    if option.startswith("--") and "=" in option:
        option, _, value = option.partition("=")
        return option, value
    if left and (not left[0].startswith("-") or left[0].lstrip("-").replace(".", "", 1).isdecimal()):
        return option, left.pop(0)
    return option, None


def _context(section: dict[str, Any]) -> list[str]:
    """Theirs is shared out among the slots, ours is each slot's."""
    context, slots = section.get("context"), section.get("slots")
    if context == 0:
        del section["context"]
        return ["context 0 (as trained) has to be said in tokens: `context`"]
    if context and slots:
        section["context"] = max(1, context // slots)
    elif context:
        section["slots"] = 1
        return ["one slot, with all of the context; more `slots` have that much each"]
    return []
