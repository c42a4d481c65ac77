"""llama.cpp's own HTTP server as a process of ours: `python -m freehold.adapters.engines.llamacpp_child ...`.

Runs the prebuilt `xllamacpp` wheel, which carries the engine and its server, when no `llama-server`
is on the machine. It is never imported by Freehold itself: an abort of the engine ends this process only.
Kept to the standard library and the wheel, so that it starts fast.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from typing import Any

LOOPBACK = "127.0.0.1"
KV_TYPES = ("f16", "q8_0", "q4_0")


def parse(argv: list[str]) -> argparse.Namespace:
    """The options, named as `llama-server` names them where it has them."""
    parser = argparse.ArgumentParser(prog="freehold-llamacpp", description=__doc__)
    parser.add_argument("--model", required=True, help="path of a GGUF file")
    parser.add_argument("--alias", required=True, help="model id to answer to")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, default=4096, help="tokens, divided among the slots")
    parser.add_argument("--parallel", type=int, default=4, help="calls at the same time")
    variables = os.environ
    cache_ram, threads = variables.get("LLAMA_ARG_CACHE_RAM", "512"), variables.get("LLAMA_ARG_THREADS", "0")
    parser.add_argument("--cache-ram", type=int, default=int(cache_ram), help="prompt cache in MiB")
    parser.add_argument("--threads", type=int, default=int(threads), help="0: as the engine thinks best")
    verbosity = variables.get("LLAMA_ARG_LOG_VERBOSITY", "3")
    parser.add_argument("--verbosity", type=int, default=int(verbosity), help="4 tells the sizes of buffers")
    parser.add_argument("--ubatch-size", type=int, default=512, help="tokens computed at once")
    parser.add_argument("--n-gpu-layers", type=int, default=-1, help="-1: as the engine thinks best")
    parser.add_argument("--n-cpu-moe", type=int, default=0, help="blocks whose experts stay on the host")
    parser.add_argument("--split-mode", choices=("none", "layer", "row"), default="layer")
    parser.add_argument("--tensor-split", type=_shares, default=[], help="shares of the GPUs, as 3,1")
    parser.add_argument("--device", choices=("none",), help="none: no GPU")
    parser.add_argument("--cache-type-k", choices=KV_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=KV_TYPES, default="f16")
    parser.add_argument("--model-draft", default="", help="path of a small GGUF that drafts")
    parser.add_argument("--mmproj", default="", help="path of the GGUF for images and sound")
    parser.add_argument("--embeddings", action="store_true", help="serve embeddings only")
    parser.add_argument("--no-warmup", action="store_true", help="do not compute once before it is ready")
    return parser.parse_args(argv)


def _shares(text: str) -> list[float]:
    return [float(share) for share in text.split(",")]


def parameters(options: argparse.Namespace, engine: Any) -> Any:
    """The wheel's parameter object. The names of its fields have changed within a year, so those that
    only tune are set where they exist; the ones that matter are set without looking."""
    params = engine.CommonParams()
    params.model.path = options.model
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.port = options.port
    _set_host(params)
    wishes = {
        "model_alias": {options.alias},
        "cache_ram_mib": options.cache_ram,
        "endpoint_metrics": True,
        "endpoint_slots": True,
        "ui": False,
        "cors_origins": "",
        "fit_params": False,  # sizes are ours to decide; never shrink the context behind our back
        "offline": True,
        "verbosity": options.verbosity,
    }
    for name, value in (wishes | _memory(options, engine)).items():
        if hasattr(params, name):
            setattr(params, name, value)
    if options.mmproj:
        params.mmproj.path = options.mmproj
    if options.model_draft:
        params.speculative.draft.mparams.path = options.model_draft
        params.speculative.types = [engine.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
    if options.threads > 0:
        params.cpuparams.n_threads = options.threads
        params.cpuparams_batch.n_threads = options.threads
    return params


def _memory(options: argparse.Namespace, engine: Any) -> dict[str, Any]:
    """What goes where, and in which type."""
    kinds = {"f16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0"}
    split_modes = engine.llama_split_mode
    checkpoints = os.environ.get("LLAMA_ARG_CTX_CHECKPOINTS")
    wishes: dict[str, Any] = {
        "n_gpu_layers": 0 if options.device == "none" else options.n_gpu_layers,
        "n_ubatch": options.ubatch_size,
        "split_mode": getattr(split_modes, f"LLAMA_SPLIT_MODE_{options.split_mode.upper()}"),
        "cache_type_k": getattr(engine.ggml_type, f"GGML_TYPE_{kinds[options.cache_type_k]}"),
        "cache_type_v": getattr(engine.ggml_type, f"GGML_TYPE_{kinds[options.cache_type_v]}"),
        "embedding": options.embeddings,
        "warmup": not options.no_warmup,
    }
    if checkpoints is not None:
        wishes["n_ctx_checkpoints"] = int(checkpoints)
    if options.cache_type_v != "f16":
        wishes["flash_attn_type"] = engine.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    if options.tensor_split:
        wishes["tensor_split"] = [*options.tensor_split, *[0.0] * (128 - len(options.tensor_split))]
    return wishes


def _set_host(params: Any) -> None:
    """Loopback only. The field is a list since the wheels of 2026-10, a string before."""
    if hasattr(params, "hostnames"):
        params.hostnames = [LOOPBACK]
    else:
        params.hostname = LOOPBACK


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 then; 1 when it could not start; 127 without the wheel."""
    options = parse(argv)
    if not os.access(options.model, os.R_OK):
        print(f"cannot read the model file {options.model}", file=sys.stderr)
        return 1
    try:
        engine: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        print(f"the embedded engine is missing ({error}): pip install 'freehold[engine]'", file=sys.stderr)
        return 127
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        server = engine.Server(parameters(options, engine))
    except Exception as error:  # the wheel raises bare exceptions: a port in use, a model it cannot load
        print(f"the engine did not start: {error}", file=sys.stderr)
        return 1
    print(f"listening on {server.listening_address}", flush=True)
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
