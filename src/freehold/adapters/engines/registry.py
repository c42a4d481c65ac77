"""All engines by their names in the configuration. Adopted servers have none: nobody starts them."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.adapters.engines.command import Command
from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.adapters.engines.ollama import Ollama
from freehold.adapters.engines.sglang import Sglang
from freehold.adapters.engines.vllm import Vllm
from freehold.core.servers import Engine


def engines(env: Mapping[str, str], programs: Mapping[str, str] | None = None) -> Mapping[str, Engine]:
    """`env` is the environment to look in and to pass on from, `programs` what the configuration's `engines:`
    names. Nothing is looked for before a server is launched."""
    named = programs or {}
    return {
        "llama.cpp": LlamaCpp(env, named.get("llama.cpp")),
        "vllm": Vllm(env, named.get("vllm")),
        "sglang": Sglang(env, named.get("sglang")),
        "ollama": Ollama(env, named.get("ollama")),
        "command": Command(env),
    }
