"""What the stand-in says on the smaller endpoints: models, embeddings, rerank, moderations, images, audio."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from freehold.testing.standin.behaviour import Behaviour
from freehold.testing.standin.chat import CREATED_S

Payload = dict[str, Any]

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOUND = b"ID3\x04\x00" + bytes(range(256)) * 64
"""Sixteen kilobytes that no text codec leaves intact."""


def openai_models(models: Sequence[str]) -> Payload:
    return {"object": "list", "data": [openai_model(model) for model in models]}


def openai_model(model: str) -> Payload:
    return {"id": model, "object": "model", "created": CREATED_S, "owned_by": "stand-in"}


def anthropic_models(models: Sequence[str]) -> Payload:
    return {
        "data": [anthropic_model(model) for model in models],
        "has_more": False,
        "first_id": models[0] if models else None,
        "last_id": models[-1] if models else None,
    }


def anthropic_model(model: str) -> Payload:
    return {"type": "model", "id": model, "display_name": model, "created_at": "2026-01-01T00:00:00Z"}


def embeddings(request: Payload, told: Behaviour) -> Payload:
    """Four numbers that depend on the text's length only."""
    given = request.get("input", "")
    texts: list[Any] = given if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownVariableType]
    data: list[Payload] = []
    for index, text in enumerate(texts):
        vector = [len(text) / 1024, 0.25, -0.5, 1.0]
        packed = base64.b64encode(struct.pack("<4f", *vector)).decode()
        wanted = packed if request.get("encoding_format") == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": wanted})
    used = {"prompt_tokens": told.input_tokens, "total_tokens": told.input_tokens}
    return {"object": "list", "data": data, "model": request.get("model"), "usage": used}


def rerank(request: Payload, told: Behaviour) -> Payload:
    """The longer the document, the more relevant."""
    documents = [str(document) for document in request.get("documents", [])]
    order = sorted(range(len(documents)), key=lambda at: -len(documents[at]))
    results = [{"index": at, "relevance_score": len(documents[at]) / 1024} for at in order]
    return {
        "model": request.get("model"),
        "results": results[: request.get("top_n") or len(results)],
        "usage": {"total_tokens": told.input_tokens},
    }


def moderations(request: Payload, number: int) -> Payload:
    result: Payload = {
        "flagged": False,
        "categories": {"violence": False},
        "category_scores": {"violence": 0.0},
        "category_applied_input_types": {"violence": ["text"]},
    }
    return {"id": f"modr-{number}", "model": request.get("model"), "results": [result]}


def images() -> Payload:
    return {"created": CREATED_S, "data": [{"b64_json": base64.b64encode(PNG).decode()}]}
