"""Two plain pages: what this is, and a list of the control API. No script, nothing from other hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { padding: 0.8rem; border: 1px solid #8886; border-radius: 6px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.8rem 0.2rem 0; }
section { border-top: 1px solid #8884; margin-top: 1.2rem; }
"""


def landing_page(url: str, models: list[str]) -> str:
    """What answers here, for a person who opened the port in a browser. `url` has no path."""
    first = models[0] if models else "MODEL"
    base = escape(url)
    return _page(
        "Freehold",
        f"""
<h1>Freehold</h1>
<p>One endpoint over local and cloud models; every call leaves a receipt.</p>
<table>
<tr><th>OpenAI clients</th><td><code>{base}/v1</code></td></tr>
<tr><th>Anthropic clients</th><td><code>{base}</code></td></tr>
<tr><th>Models</th><td>{len(models)}: see <a href="/api/v1/models">the list</a></td></tr>
<tr><th>Control API</th><td><a href="/api/docs">what can be asked</a></td></tr>
</table>
<p>Try it:</p>
<pre>curl {base}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model": "{escape(first)}", "messages": [{{"role": "user", "content": "Hello"}}]}}'</pre>
""",
    )


def docs_page(document: Mapping[str, Any]) -> str:
    """A list of the operations in an OpenAPI document."""
    body = "".join(_operation(path, operation) for path, operation in _operations(document))
    return _page(
        "Freehold control API",
        f"""
<h1>Control API</h1>
<p>Version {escape(str(document["info"]["version"]))}. Answers are JSON. For programs:
<a href="/api/openapi.json">OpenAPI document</a>.</p>{body}""",
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _operation(name: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    table = f"<table>{rows}</table>" if rows else ""
    words = escape(operation.get("description", operation.get("summary", "")))
    return f"\n<section><h3><code>{escape(name)}</code></h3><p>{words}</p>{table}</section>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    arms = [schema, *schema.get("anyOf", ())]
    choices = [str(choice) for arm in arms for choice in arm.get("enum", ()) if choice]
    words = parameter.get("description", "") or (f"One of {', '.join(choices)}." if choices else "")
    return f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(words)}</td></tr>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
