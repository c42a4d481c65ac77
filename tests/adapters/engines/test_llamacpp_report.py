"""The engine's log, read for its buffers."""

from __future__ import annotations

import json

from freehold.adapters.engines.llamacpp_report import parse_report
from freehold.core.memory import MemoryPart

MIB = 1024**2

GPU = """\
0.00.003.202 I srv    load_model: loading model '/models/big.gguf'
0.00.010.000 I load_tensors: offloading 32 repeating layers to GPU
0.00.010.001 I load_tensors: offloaded 33/33 layers to GPU
0.00.010.002 I load_tensors:   CPU_Mapped model buffer size =   281.81 MiB
0.00.010.003 I load_tensors:        CUDA0 model buffer size =  2000.50 MiB
0.00.010.004 I load_tensors:        CUDA1 model buffer size =  2132.00 MiB
0.00.115.100 I llama_context: n_seq_max             = 4
0.00.115.101 I llama_context: n_ctx                 = 8192
0.00.115.102 I llama_context: n_ctx_seq             = 2048
0.00.115.103 I llama_context:  CUDA_Host  output buffer size =     1.96 MiB
0.00.115.104 I llama_kv_cache:      CUDA0 KV buffer size =   544.00 MiB
0.00.115.105 I llama_kv_cache:      CUDA1 KV buffer size =   480.00 MiB
0.00.115.106 I llama_kv_cache: size = 1024.00 MiB (  2048 cells,  32 layers,  4/4 seqs), K (f16):  512.00 MiB
0.00.115.107 I sched_reserve:      CUDA0 compute buffer size =   132.02 MiB
0.00.115.108 I sched_reserve:  CUDA_Host compute buffer size =    16.02 MiB
""".splitlines()


def test_buffers_go_to_their_devices() -> None:
    need = parse_report(GPU)
    assert need is not None
    assert need.parts == (
        MemoryPart(what="weights", bytes=round(281.81 * MIB), mapped=True),
        MemoryPart(what="weights", bytes=round(2000.5 * MIB), device=0),
        MemoryPart(what="weights", bytes=2132 * MIB, device=1),
        MemoryPart(what="output", bytes=round(1.96 * MIB)),
        MemoryPart(what="kv", bytes=544 * MIB, device=0),
        MemoryPart(what="kv", bytes=480 * MIB, device=1),
        MemoryPart(what="compute", bytes=round(132.02 * MIB), device=0),
        MemoryPart(what="compute", bytes=round(16.02 * MIB)),
    )
    assert (need.devices, need.gpu_layers, need.context, need.slots) == (2, 33, 8192, 4)
    assert need.source == "measured"


def test_lines_of_json_say_the_same() -> None:
    told = [json.dumps({"type": "log", "time": 1, "level": "info", "msg": line + "\n"}) for line in GPU]
    assert parse_report(told) == parse_report(GPU)


def test_two_caches_of_one_model_add_up() -> None:
    lines = [
        "llama_kv_cache:        CPU KV buffer size =   640.00 MiB",
        "llama_kv_cache:        CPU KV buffer size =  1248.00 MiB",
        "llama_memory_recurrent:        CPU RS buffer size =    47.50 MiB",
    ]
    need = parse_report(lines)
    assert need is not None
    assert [(part.what, part.bytes) for part in need.parts] == [
        ("kv", 1888 * MIB),
        ("state", round(47.5 * MIB)),
    ]


def test_only_the_newest_load_counts() -> None:
    again = parse_report([*GPU, *GPU])
    assert again == parse_report(GPU)


def test_repacked_and_network_and_old_spellings() -> None:
    lines = [
        "llm_load_tensors:        CPU buffer size =   100.00 MiB",
        "load_tensors:   CPU_REPACK model buffer size =   200.00 MiB",
        "load_tensors: RPC0[127.0.0.1:50052] model buffer size =   300.00 MiB",
        "load_tensors:  Vulkan_Host model buffer size =     7.00 MiB",
    ]
    need = parse_report(lines)
    assert need is not None
    assert [(part.bytes // MIB, part.device, part.mapped) for part in need.parts] == [
        (307, None, False),
        (300, 0, False),
    ]


def test_an_output_that_says_nothing_is_no_report() -> None:
    assert parse_report([]) is None
    assert parse_report(["{", '{"msg": 3}', "server is listening", "x" * 100_000, "\x00\xff"]) is None
