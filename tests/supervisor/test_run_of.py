"""The estimator is asked about what the engine will really be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.model_file import ModelFile, Tensor
from freehold.core.servers import ServerSpec
from freehold.supervisor.memory.run import Run
from freehold.supervisor.run_of import LEAST_CHECKPOINTS, MOST_CHECKPOINTS, run_of, with_checkpoints

MIB = 1024**2


def spec(*args: str) -> ServerSpec:
    return ServerSpec(name="a", model="/m.gguf", context=4096, slots=2, args=args)


def test_the_specification_is_the_question() -> None:
    run = run_of(
        ServerSpec(
            name="a", context=4096, slots=2, kv_type="q8_0", gpu_layers=7, cache_ram_bytes=5, ubatch=256
        )
    )
    assert (run.context_total, run.slots, run.kv_type_k, run.kv_type_v) == (8192, 2, "q8_0", "q8_0")
    assert (run.gpu_layers, run.cache_ram_bytes, run.ubatch) == (7, 5, 256)


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        (("-c", "1000"), "context_total", 1000),
        (("--cache-type-k", "q4_0"), "kv_type_k", "q4_0"),
        (("-ngl", "12"), "gpu_layers", 12),
        (("-kvu",), "unified_kv", True),
        (("--no-mmap",), "mapped", False),
        (("--no-repack",), "repack", False),
        (("-cmoe",), "cpu_moe", 1_000_000),
        (("--n-cpu-moe", "4"), "cpu_moe", 4),
        (("-fa", "off"), "flash", False),
        (("-fa", "on"), "flash", True),
        (("--cache-ram", "100"), "cache_ram_bytes", 100 * MIB),
        (("-ts", "3,1"), "split", (3.0, 1.0)),
        (("--tensor-split", "3/0/1"), "devices", 2),
        (("-ot", "exps=CPU"), "tensor_places", (("exps", None),)),
        (("-ot", "a=b=CUDA1"), "tensor_places", (("a=b", 1),)),
        (("--ctx-checkpoints", "9"), "checkpoints", 9),
        (("--swa-full",), "swa_full", True),
    ],
)
def test_the_engines_own_arguments_go_last(args: tuple[str, ...], field: str, value: object) -> None:
    assert getattr(run_of(spec(*args)), field) == value


def test_what_changes_no_memory_or_makes_no_sense_is_passed_over() -> None:
    assert run_of(spec("--jinja", "-ngl", "all", "-c", "-ts", "x,y", "--cache-ram", "-1")) == run_of(spec())


@given(
    st.lists(st.sampled_from(["-c", "-ts", "-ot", "-fa", "-ctk", "7", "a=CPU", "on", "--no-mmap", "", "1,2"]))
)
def test_any_arguments_make_a_question(args: list[str]) -> None:
    run_of(spec(*args))


def windowed(size: int) -> ModelFile:
    keys = {
        "block_count": 12, "embedding_length": 512, "attention.head_count": 8, "attention.head_count_kv": 8,
        "attention.key_length": size, "attention.value_length": size, "context_length": 8192,
        "attention.sliding_window": 1024, "feed_forward_length": 512,
    }  # fmt: skip
    return ModelFile(
        architecture="gemma3",
        metadata={f"gemma3.{key}": value for key, value in keys.items()},
        tensors=tuple(Tensor(f"blk.{n}.attn_q.weight", 1000, (512, 512), "f16") for n in range(12)),
        vocabulary=1000,
    )


def test_saved_states_get_as_much_memory_as_the_prompt_cache_within_bounds() -> None:
    run = Run(context_total=8192, slots=2)
    few = with_checkpoints(windowed(256), run).checkpoints
    assert few == LEAST_CHECKPOINTS
    roomy = Run(context_total=8192, slots=2, cache_ram_bytes=1 << 50)
    assert with_checkpoints(windowed(256), roomy).checkpoints == MOST_CHECKPOINTS
    stated = Run(context_total=8192, slots=2, checkpoints=5)
    assert with_checkpoints(windowed(256), stated).checkpoints == 5


def test_a_model_that_can_go_back_saves_none() -> None:
    plain = windowed(64)
    keys = {"llama." + key.partition(".")[2]: value for key, value in plain.metadata.items()}
    keys.pop("llama.attention.sliding_window")
    dense = ModelFile(architecture="llama", metadata=keys, tensors=plain.tensors, vocabulary=1000)
    assert with_checkpoints(dense, Run(context_total=8192, slots=2)).checkpoints == 0
