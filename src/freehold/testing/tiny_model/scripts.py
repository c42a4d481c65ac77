"""What the tiny model says, and which words in a prompt make it say something else.

Pure text. How a text becomes weights is in `network`; how a prompt selects one is in `template`.
"""

from __future__ import annotations

import json
from typing import Any

DEFAULT = "default"
AFTER_TOOL = "after-tool"
NO_TOOL = "no-tool"
ANY_TOOL = "any-tool"
IN_QUOTES = "in-quotes"
CALL_ENDS = "call-ends"
FOREVER = "forever"
EMPTY = "empty"

TOOL_CALLS: dict[str, dict[str, Any]] = {
    "Bash": {"command": "echo freehold", "description": "Print the word freehold"},
    "exec_command": {"cmd": "echo freehold"},
    "shell_command": {"command": "echo freehold"},
    "shell": {"command": ["echo", "freehold"]},
    "bash": {"command": "echo freehold", "description": "Print the word freehold"},
    "run_shell_command": {"command": "echo freehold"},
    "get_weather": {"city": "Paris"},
}
"""The call made for `@@tool`, by tool name; the first of these that the request offers is called.

Names and arguments are those of Claude Code, Codex (three generations), opencode and Gemini-like
agents, and of the weather example that every tutorial uses.
"""

KEYWORDS = (
    "@@tool",
    "@@parallel",
    "@@json",
    "@@long",
    "@@forever",
    "@@think",
    "@@code",
    "@@unicode",
    "@@empty",
)
"""Words in the user's latest message that select a text; with several, the last of this list wins."""


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """A tool call as the chat template's own format writes it."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def _long() -> str:
    lines = (f"Line {n} of this long answer has been read {n * 7 + 3} times." for n in range(1, 61))
    return "\n".join(lines)


def texts() -> dict[str, str]:
    """Every text by its name; a name that is a keyword without `@@` is said for that keyword."""
    said = {
        CALL_ENDS: "\n</tool_call>",
        DEFAULT: "This is freehold-tiny, the test model that is built into Freehold: it recites "
        "fixed sentences and understands nothing. Your request reached a real llama.cpp engine on this "
        "machine, and a receipt was kept. For real answers put a GGUF file under ~/models or set a "
        "provider's API key, then start Freehold again.",
        "json": '{"ok": true, "items": [1, 2, 3], "note": "recited by a test model"}',
        "think": "<think>\nThe user wants to see some reasoning, so I pretend to weigh the matter.\n"
        "</think>\n\nAfter careful thought: forty-two.",
        "code": "```python\ndef add(first: int, second: int) -> int:\n    return first + second\n```\n\n"
        "It adds two integers.",
        "unicode": "Grüße aus Zürich, 你好世界, Привет, καλημέρα, 👩\u200d🚀 and 🏳️\u200d🌈.",
        "parallel": call_text("get_weather", {"city": "Oslo"})
        + "\n"
        + call_text("get_weather", {"city": "Rome"}),
        AFTER_TOOL: "The tool has answered, so this turn ends here. (Said by freehold-tiny, a test model.)",
        NO_TOOL: "You asked for a tool call, yet your request offers no tools.",
        ANY_TOOL: '<tool_call>\n{"name": "',
        IN_QUOTES: "sample text",
        FOREVER: "Round and round this goes, until somebody stops it; ",
        "long": _long(),
        EMPTY: "",
    }
    return said | {f"tool:{name}": call_text(name, arguments) for name, arguments in TOOL_CALLS.items()}


def selector(name: str) -> str:
    """The control token that, standing last in a prompt, starts the text called `name`."""
    return f"<|say:{name}|>"
