"""The account of one way to run a model: figures that can be reckoned by hand from public models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.memory import MemoryNeed, PartName
from freehold.core.model_file import ModelFile, Tensor
from freehold.supervisor.memory import Run, estimate

MIB = 1024**2


def model(
    architecture: str = "llama", blocks: int = 32, tensors: int = 10_000_000, **keys: object
) -> ModelFile:
    """Llama 3.1 8B's dimensions, but for what is said."""
    known: dict[str, object] = {
        "block_count": blocks,
        "embedding_length": 4096,
        "feed_forward_length": 14336,
        "context_length": 131072,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
        "attention.key_length": 128,
        "attention.value_length": 128,
    }
    known |= {key.replace("__", "."): value for key, value in keys.items()}
    table = [Tensor("token_embd.weight", 281 * MIB, (4096, 128256), "q6_k")]
    table += [Tensor(f"blk.{i}.attn_q.weight", tensors, (4096, 4096), "q6_k") for i in range(blocks)]
    table += [Tensor("output.weight", 410 * MIB, (4096, 128256), "q6_k")]
    return ModelFile(
        architecture=architecture,
        metadata={f"{architecture}.{key}": value for key, value in known.items()},  # type: ignore[misc]
        tensors=tuple(table),
        vocabulary=128256,
    )


def size(need: MemoryNeed, what: PartName, device: int | str | None = "any") -> int:
    return sum(p.bytes for p in need.parts if p.what == what and device in ("any", p.device))


def test_keys_and_values_of_a_dense_model() -> None:
    need = estimate(model(), Run(context_total=8192, slots=2))
    assert size(need, "kv") == 1024 * MIB  # 32 layers x 8192 cells x 2 x 1024 x 2 bytes
    assert size(need, "output") == 128256 * 4 * 2
    assert (need.context, need.slots, need.devices, need.gpu_layers) == (8192, 2, 0, 0)


@pytest.mark.parametrize(
    ("kind", "share"), [("q8_0", 34 / 64), ("q4_0", 18 / 64), ("f32", 2.0), ("q5_1", 24 / 64)]
)
def test_packed_caches_take_their_share(kind: str, share: float) -> None:
    need = estimate(model(), Run(context_total=8192, kv_type_k=kind, kv_type_v=kind))
    assert size(need, "kv") == 1024 * MIB * share


def test_each_slot_gets_whole_cells() -> None:
    """100 tokens for three slots are 256 cells each."""
    need = estimate(model(), Run(context_total=100, slots=3))
    assert need.context == 3 * 256
    shared = estimate(model(), Run(context_total=100, slots=3, unified_kv=True))
    assert shared.context == 256


def test_windows_count_slots_only_when_they_share() -> None:
    """Gemma 3 27B at 16k, as the engine reports it: 3152 MiB shared by four, 2528 MiB for two apart."""
    keys = {"embedding_length": 5376, "attention__head_count_kv": 16, "attention__sliding_window": 1024}
    gemma = model("gemma3", 62, **keys)
    shared = estimate(gemma, Run(context_total=16384, slots=4, unified_kv=True))
    apart = estimate(gemma, Run(context_total=16384, slots=2))
    assert size(shared, "kv") == 3152 * MIB
    assert size(apart, "kv") == 2528 * MIB
    whole = estimate(gemma, Run(context_total=16384, slots=2, swa_full=True))
    assert size(whole, "kv") == 62 * 16384 * 2 * 16 * 128 * 2


def test_a_pattern_in_the_file_goes_before_the_architectures_own() -> None:
    pattern = (True,) * 31 + (False,)
    keys = {"attention__sliding_window": 128, "attention__sliding_window_pattern": pattern}
    need = estimate(model("gpt-oss", **keys), Run(context_total=16384))
    assert size(need, "kv") == (31 * 768 + 16384) * 2 * 1024 * 2


def test_a_window_in_the_file_is_no_promise() -> None:
    """Figures as the engine reports them: it looks at the key only for some architectures and sizes."""
    for architecture, blocks, windowed in (
        ("phi3", 12, 0),
        ("qwen2", 12, 0),
        ("exaone4", 12, 0),
        ("exaone4", 64, 48),
    ):
        keys = {"attention__sliding_window": 64}
        need = estimate(model(architecture, blocks, **keys), Run(context_total=16384))
        cells = (blocks - windowed) * 16384 + windowed * 768
        assert size(need, "kv") == cells * 2 * 1024 * 2, architecture
    chunked = estimate(model("llama4", 12), Run(context_total=16384))
    assert size(chunked, "kv") == (9 * 8704 + 3 * 16384) * 2 * 1024 * 2


def test_the_later_layers_of_gemma3n_have_no_keys_of_their_own() -> None:
    need = estimate(model("gemma3n", 30, attention__sliding_window=512), Run(context_total=16384))
    assert size(need, "kv") == (16 * 1024 + 4 * 16384) * 2 * 1024 * 2


def test_compressed_attention_keeps_no_values() -> None:
    keys = {
        "attention__key_length": 576,
        "attention__value_length": 512,
        "attention__head_count_kv": 1,
        "attention__key_length_mla": 192,
        "attention__value_length_mla": 128,
    }
    need = estimate(model("deepseek2", 61, **keys), Run(context_total=8192))
    assert size(need, "kv") == 61 * 8192 * 576 * 2


def test_the_last_layers_may_borrow_their_keys() -> None:
    borrowed = estimate(model("gemma4", attention__shared_kv_layers=12), Run(context_total=8192))
    assert size(borrowed, "kv") == 20 * 8192 * 2 * 1024 * 2


def test_blocks_that_only_draft_are_not_loaded_until_they_draft() -> None:
    drafting = model("glm4moe", nextn_predict_layers=1)
    assert size(estimate(drafting, Run(context_total=8192)), "kv") == 31 * 8192 * 2 * 1024 * 2
    idle = size(estimate(drafting, Run(context_total=8192)), "weights")
    assert size(estimate(drafting, Run(context_total=8192, draft_tokens=3)), "weights") == idle + 10_000_000


def test_recurrent_state_knows_slots_and_no_context() -> None:
    keys = {
        "embedding_length": 2560,
        "attention__head_count": 0,
        "attention__head_count_kv": 0,
        "ssm__inner_size": 5120,
        "ssm__state_size": 128,
        "ssm__conv_kernel": 4,
        "ssm__group_count": 1,
    }
    mamba = model("mamba2", 64, **keys)
    short = estimate(mamba, Run(context_total=1024, slots=4))
    long = estimate(mamba, Run(context_total=1024 * 1024, slots=4))
    assert size(short, "state") == size(long, "state") == 64 * 4 * (3 * 5376 + 128 * 5120) * 4
    assert size(long, "kv") == 0
    guessing = estimate(mamba, Run(context_total=1024, slots=4, draft_tokens=2))
    assert size(guessing, "state") == 3 * size(short, "state")


def test_every_fourth_block_of_a_hybrid_attends() -> None:
    keys = {
        "full_attention_interval": 4,
        "ssm__inner_size": 4096,
        "ssm__state_size": 128,
        "ssm__conv_kernel": 4,
    }
    need = estimate(model("qwen3next", **keys), Run(context_total=8192))
    assert size(need, "kv") == 8 * 8192 * 2 * 1024 * 2
    assert size(need, "state") == 24 * (3 * 4096 + 128 * 4096) * 4


def test_layers_and_their_caches_go_together() -> None:
    need = estimate(model(), Run(context_total=8192, gpu_layers=20, devices=2, split=(3.0, 1.0)))
    # blocks 13..27 and 28..31 with the output
    assert size(need, "weights", 0) == 15 * 10_000_000
    assert size(need, "weights", 1) == 4 * 10_000_000 + 410 * MIB
    assert size(need, "kv", 0) == 15 * 32 * MIB
    assert size(need, "kv", 1) == 4 * 32 * MIB
    assert size(need, "weights", None) == 13 * 10_000_000 + 281 * MIB
    assert (need.gpu_layers, need.split) == (20, (3.0, 1.0))


def test_a_cache_may_be_kept_off_the_gpu() -> None:
    need = estimate(model(), Run(context_total=8192, devices=1, kv_offload=False))
    assert size(need, "kv", None) == 1024 * MIB


def test_experts_of_the_first_blocks_stay_on_the_host() -> None:
    base = model("qwen3moe", 4, expert_count=8, expert_used_count=2)
    experts = [Tensor(f"blk.{i}.ffn_up_exps.weight", 50_000_000, (64, 64, 8), "q6_k") for i in range(4)]
    moe = ModelFile(
        architecture="qwen3moe", metadata=base.metadata, tensors=(*base.tensors, *experts), vocabulary=1000
    )
    need = estimate(moe, Run(context_total=256, devices=1, cpu_moe=3))
    assert size(need, "weights", 0) == 4 * 10_000_000 + 410 * MIB + 50_000_000
    assert size(need, "weights", None) == 281 * MIB + 3 * 50_000_000
    by_rule = Run(context_total=256, devices=1, tensor_places=((r"blk\.[0-2]\..*exps", None),))
    assert size(estimate(moe, by_rule), "weights", 0) == size(need, "weights", 0)
    assert size(estimate(moe, Run(context_total=256, devices=1, tensor_places=(("(", None),))), "weights", 0)


def test_a_shared_embedding_lies_on_host_and_gpu() -> None:
    whole = model()
    tied = ModelFile(
        architecture="llama", metadata=whole.metadata, tensors=whole.tensors[:-1], vocabulary=whole.vocabulary
    )
    need = estimate(tied, Run(context_total=256, devices=1))
    assert size(need, "weights", 0) == 32 * 10_000_000 + 281 * MIB
    assert size(need, "weights", None) == 281 * MIB


def test_host_memory_is_what_cannot_be_taken_back() -> None:
    need = estimate(model(), Run(context_total=8192, cache_ram_bytes=512 * MIB))
    assert need.mapped_bytes == size(need, "weights")
    assert need.ram_bytes >= 1024 * MIB + 512 * MIB
    held = estimate(model(), Run(context_total=8192, mapped=False))
    assert held.mapped_bytes == 0


def test_checkpoints_are_windows_and_states_for_every_slot() -> None:
    gemma = model("gemma3", attention__sliding_window=1024)
    few = estimate(gemma, Run(context_total=16384, slots=2, checkpoints=8))
    windowed = 27 * 1536 * 2 * 1024 * 2  # of one slot
    assert size(few, "prompt cache") == 2 * 8 * windowed
    assert size(estimate(model(), Run(context_total=16384, checkpoints=8)), "prompt cache") == 0


def test_a_driver_takes_its_context_on_each_nvidia_gpu() -> None:
    need = estimate(model(), Run(context_total=256, devices=2, vendor="nvidia"))
    assert size(need, "context", 0) == size(need, "context", 1) == 330 * MIB
    assert size(estimate(model(), Run(context_total=256, devices=2, vendor="amd")), "context") == 0


def test_draft_and_projector_are_counted_beside_the_model() -> None:
    small = model(blocks=4)
    run = Run(context_total=8192, devices=1, draft=small, projector=small)
    need, alone = estimate(model(), run), estimate(model(), Run(context_total=8192, devices=1))
    assert size(need, "draft", 0) > 4 * 10_000_000 + 128 * MIB
    assert size(need, "projector", 0) == pytest.approx(1.4 * small.weights_bytes, rel=0.001)
    assert size(need, "kv") == size(alone, "kv")


def test_vllm_takes_its_share_whatever_the_model() -> None:
    run = Run(
        engine="vllm", context_total=8192, devices=1, gpu_memory=0.5, device_total_bytes=(48 * 1024**3,)
    )
    need = estimate(model(), run)
    assert need.on_device(0) == 24 * 1024**3
    crowded = estimate(model(tensors=700 * MIB), run)
    assert "too little" in crowded.note
    assert crowded.on_device(0) > 22 * 1024**3


def test_a_file_that_says_nothing_is_priced_by_its_weights() -> None:
    bare = ModelFile(architecture="new", tensors=(Tensor("blk.0.a", 5 * MIB, (1,), "f32"),))
    assert size(estimate(bare, Run(context_total=4096)), "weights") == 5 * MIB


@given(
    context=st.integers(1, 300_000),
    more=st.integers(0, 100_000),
    slots=st.integers(1, 16),
    ubatch=st.integers(1, 4096),
    layers=st.integers(0, 40),
    devices=st.integers(0, 4),
    shared=st.booleans(),
    kind=st.sampled_from(["f16", "q8_0", "q4_0"]),
)
def test_more_context_never_takes_less(
    context: int, more: int, slots: int, ubatch: int, layers: int, devices: int, shared: bool, kind: str
) -> None:
    def need(tokens: int) -> MemoryNeed:
        run = Run(
            context_total=tokens,
            slots=slots,
            ubatch=ubatch,
            gpu_layers=layers,
            devices=devices,
            unified_kv=shared,
            kv_type_k=kind,
        )
        return estimate(model("gemma3", attention__sliding_window=1024), run)

    less, greater = need(context), need(context + more)
    assert greater.ram_bytes >= less.ram_bytes
    for device in range(devices):
        assert greater.on_device(device) >= less.on_device(device)
    assert size(less, "weights") == size(greater, "weights")
    assert all(part.bytes > 0 for part in less.parts)
