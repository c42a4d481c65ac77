"""One rich request per client's dialect and one rich answer per upstream's, to be spoiled by tests."""

from __future__ import annotations

from typing import Any

_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_PNG = "data:image/png;base64,AAAA"
_SOURCE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}

GOOD_REQUESTS: dict[str, dict[str, Any]] = {
    "chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "name": "u",
                "content": [
                    {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": _PNG, "detail": "low"}},
                    {
                        "type": "file",
                        "file": {"filename": "f", "file_data": "data:application/pdf;base64,JV"},
                    },
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": "y",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "custom", "custom": {"name": "p", "input": "text"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "r"}]},
            {"role": "developer", "content": "late"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": _SCHEMA, "strict": True}},
            {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
        "reasoning_effort": "low",
        "max_completion_tokens": 5000,
        "temperature": 0.5,
        "stop": ["x"],
        "logprobs": True,
        "top_logprobs": 2,
        "metadata": {"a": "b"},
        "user": "u",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "messages": {
        "model": "m",
        "max_tokens": 5000,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "S"}],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "x"}, {"type": "image", "source": _SOURCE}],
            },
            {"role": "system", "content": "late"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": [1, {"b": None}]}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "is_error": True,
                        "content": [{"type": "image", "source": _SOURCE}, {"type": "text", "text": "r"}],
                    },
                    {"type": "document", "title": "t", "source": {"type": "text", "data": "d"}},
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "c"}]},
                    },
                    {"type": "search_result", "title": "t", "source": "s", "content": [{"text": "z"}]},
                ],
            },
        ],
        "tools": [
            {"name": "f", "input_schema": _SCHEMA, "strict": True},
            {"type": "bash_20250124", "name": "b"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": _SCHEMA}},
        "metadata": {"user_id": "u"},
        "stop_sequences": ["x"],
        "top_k": 3,
        "service_tier": "auto",
    },
    "responses": {
        "model": "m",
        "instructions": "S",
        "input": [
            {"role": "developer", "content": "D"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": _PNG, "detail": "auto"},
                    {"type": "input_file", "file_url": "https://example.org/f", "filename": "f"},
                ],
            },
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "e",
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "n", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "t"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_text", "text": "r"}],
            },
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "r"},
            {"type": "local_shell_call", "id": "l", "call_id": "c3", "action": {"command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c3", "output": "r"},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "late"}]},
        ],
        "tools": [
            {"type": "function", "name": "g", "parameters": _SCHEMA, "strict": True},
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
            {
                "type": "custom",
                "name": "p",
                "format": {"type": "grammar", "syntax": "lark", "definition": "d"},
            },
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "g"}],
        },
        "text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 5000,
        "top_logprobs": 2,
        "service_tier": "auto",
        "store": False,
    },
    "ollama": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "x", "images": ["iVBORw0KGgo"]},
            {
                "role": "assistant",
                "content": "y",
                "thinking": "t",
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "tool_name": "f", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": _SCHEMA}}],
        "options": {"temperature": 0.5, "num_predict": 9, "stop": ["x"], "num_ctx": 5},
        "format": _SCHEMA,
        "think": "high",
    },
}

GOOD_ANSWERS: dict[str, dict[str, Any]] = {
    "chat": {
        "id": "x",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": [{"text": "t"}]},
                        {"type": "text", "text": "x"},
                    ],
                    "reasoning": "hm",
                    "refusal": "no",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": {"content": [{"token": "x", "logprob": -1, "bytes": [1], "top_logprobs": []}]},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
    },
    "messages": {
        "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "text", "text": "x", "citations": None},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "refusal",
        "stop_details": {"explanation": "e"},
        "stop_sequence": "x",
        "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 1}},
    },
    "responses": {
        "status": "completed",
        "output": [
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "e",
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "x", "logprobs": [{"token": "x", "logprob": -1}]},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "d", "name": "p", "input": "t"},
        ],
        "incomplete_details": {"reason": "max_output_tokens"},
        "usage": {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
    },
}
