"""Model families as hollow files, at true size for measurements and tiny for tests.

The tensor lists follow llama.cpp's models/*.cpp, read for facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks.hollow import Hollow


@dataclass(frozen=True)
class Size:
    """Dimensions that most families share."""

    blocks: int
    width: int
    heads: int
    kv_heads: int
    head: int
    ff: int
    tokens: int
    context: int = 131072
    experts: int = 0
    used: int = 0
    ff_expert: int = 0
    window: int = 0
    tied: bool = False
    weights: str = "q4_k"


Family = Callable[[Size], Hollow]


def _begin(architecture: str, s: Size, **more: int | float | bool | list[int] | list[bool]) -> Hollow:
    keys: dict[str, object] = {
        "context_length": s.context,
        "embedding_length": s.width,
        "block_count": s.blocks,
        "vocab_size": s.tokens,
        "feed_forward_length": s.ff,
        "attention.head_count": s.heads,
        "attention.head_count_kv": s.kv_heads,
        "attention.key_length": s.head,
        "attention.value_length": s.head,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1e6,
        "rope.dimension_count": s.head,
    }
    if s.window:
        keys["attention.sliding_window"] = s.window
    if s.experts:
        keys |= {
            "expert_count": s.experts,
            "expert_used_count": s.used,
            "expert_feed_forward_length": s.ff_expert,
        }
    named = {name.replace("__", "."): value for name, value in more.items()}
    kept = {k: v for k, v in (keys | named).items() if v is not None}
    model = Hollow(architecture, kept, s.tokens, weights=s.weights)  # type: ignore[arg-type]
    model.add("token_embd.weight", s.width, s.tokens)
    model.add("output_norm.weight", s.width)
    if not s.tied:
        model.add("output.weight", s.width, s.tokens)
    return model


def _attention(m: Hollow, p: str, s: Size, *, q_gate: int = 1, norms: bool = False, bias: str = "") -> None:
    q, kv = s.heads * s.head, s.kv_heads * s.head
    m.add(f"{p}attn_q.weight", s.width, q * q_gate)
    m.add(f"{p}attn_k.weight", s.width, kv)
    m.add(f"{p}attn_v.weight", s.width, kv)
    m.add(f"{p}attn_output.weight", q, s.width)
    if norms:
        m.add(f"{p}attn_q_norm.weight", s.head)
        m.add(f"{p}attn_k_norm.weight", s.head)
    if bias:
        m.add(f"{p}attn_q.bias", q)
        m.add(f"{p}attn_k.bias", kv)
        m.add(f"{p}attn_v.bias", kv)
        if bias == "all":
            m.add(f"{p}attn_output.bias", s.width)


def _ffn(m: Hollow, p: str, width: int, ff: int, suffix: str = "") -> None:
    m.add(f"{p}ffn_gate{suffix}.weight", width, ff)
    m.add(f"{p}ffn_up{suffix}.weight", width, ff)
    m.add(f"{p}ffn_down{suffix}.weight", ff, width)


def _experts(m: Hollow, p: str, s: Size) -> None:
    m.add(f"{p}ffn_gate_inp.weight", s.width, s.experts)
    m.add(f"{p}ffn_gate_exps.weight", s.width, s.ff_expert, s.experts)
    m.add(f"{p}ffn_up_exps.weight", s.width, s.ff_expert, s.experts)
    m.add(f"{p}ffn_down_exps.weight", s.ff_expert, s.width, s.experts)


def _each(s: Size) -> list[str]:
    return [f"blk.{i}." for i in range(s.blocks)]


def llama(s: Size) -> Hollow:
    m = _begin("llama", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s)
        m.add(f"{p}ffn_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def qwen2(s: Size) -> Hollow:
    m = _begin("qwen2", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, bias="qkv")
        m.add(f"{p}ffn_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def qwen3(s: Size) -> Hollow:
    m = _begin("qwen3", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, norms=True)
        m.add(f"{p}ffn_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def _gemma(m: Hollow, s: Size, *, norms: bool) -> Hollow:
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, norms=norms)
        m.add(f"{p}post_attention_norm.weight", s.width)
        m.add(f"{p}ffn_norm.weight", s.width)
        m.add(f"{p}post_ffw_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def gemma2(s: Size) -> Hollow:
    return _gemma(_begin("gemma2", replace(s, tied=True)), s, norms=False)


def gemma3(s: Size) -> Hollow:
    return _gemma(_begin("gemma3", replace(s, tied=True)), s, norms=True)


def gemma4(s: Size) -> Hollow:
    """Windowed layers with shorter keys, and the last third shares the keys of earlier layers."""
    shared = s.blocks // 3
    pattern = [(i + 1) % 6 != 0 for i in range(s.blocks)]
    short = s.head // 2
    m = _begin(
        "gemma4",
        replace(s, tied=True),
        attention__key_length_swa=short,
        attention__value_length_swa=short,
        attention__shared_kv_layers=shared,
        attention__sliding_window_pattern=pattern,
        embedding_length_per_layer_input=0,
        rope__dimension_count_swa=short,
    )
    m.add("rope_freqs.weight", s.head // 2)
    for i, p in enumerate(_each(s)):
        sized = replace(s, head=short if pattern[i] else s.head)
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, sized, norms=True)
        m.add(f"{p}post_attention_norm.weight", s.width)
        m.add(f"{p}ffn_norm.weight", s.width)
        m.add(f"{p}post_ffw_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def phi3(s: Size) -> Hollow:
    m = _begin("phi3", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        m.add(f"{p}attn_qkv.weight", s.width, (s.heads + 2 * s.kv_heads) * s.head)
        m.add(f"{p}attn_output.weight", s.heads * s.head, s.width)
        m.add(f"{p}ffn_norm.weight", s.width)
        m.add(f"{p}ffn_up.weight", s.width, 2 * s.ff)
        m.add(f"{p}ffn_down.weight", s.ff, s.width)
    return m


def qwen3moe(s: Size) -> Hollow:
    m = _begin("qwen3moe", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, norms=True)
        m.add(f"{p}ffn_norm.weight", s.width)
        _experts(m, p, s)
    return m


def gpt_oss(s: Size) -> Hollow:
    m = _begin("gpt-oss", s)
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, bias="all")
        m.add(f"{p}attn_sinks.weight", s.heads)
        m.add(f"{p}post_attention_norm.weight", s.width)
        _experts(m, p, s)
        m.add(f"{p}ffn_gate_inp.bias", s.experts)
        for name, size in (("gate", s.ff_expert), ("up", s.ff_expert), ("down", s.width)):
            m.add(f"{p}ffn_{name}_exps.bias", size, s.experts, kind="f32")
    return m


def glm4moe(s: Size) -> Hollow:
    """One dense block, experts, and a block for drafting (NextN) behind them."""
    m = _begin(
        "glm4moe",
        replace(s, blocks=s.blocks + 1),
        expert_shared_count=1,
        leading_dense_block_count=1,
        nextn_predict_layers=1,
        expert_weights_scale=1.0,
    )
    for i, p in enumerate(_each(replace(s, blocks=s.blocks + 1))):
        m.add(f"{p}attn_norm.weight", s.width)
        _attention(m, p, s, bias="qkv")
        m.add(f"{p}post_attention_norm.weight", s.width)
        if i == 0:
            _ffn(m, p, s.width, s.ff)
        else:
            _experts(m, p, s)
            m.add(f"{p}exp_probs_b.bias", s.experts)
            _ffn(m, p, s.width, s.ff_expert, "_shexp")
        if i == s.blocks:
            m.add(f"{p}nextn.eh_proj.weight", 2 * s.width, s.width)
            m.add(f"{p}nextn.enorm.weight", s.width)
            m.add(f"{p}nextn.hnorm.weight", s.width)
            m.add(f"{p}nextn.embed_tokens.weight", s.width, s.tokens)
            m.add(f"{p}nextn.shared_head_head.weight", s.width, s.tokens)
            m.add(f"{p}nextn.shared_head_norm.weight", s.width)
    return m


def deepseek2(s: Size) -> Hollow:
    """Compressed attention (MLA). `head` is the part of a key without position."""
    rope, rank = max(s.head // 2, 16), s.head * 4
    q_rank = s.head * 12
    m = _begin(
        "deepseek2",
        replace(s, kv_heads=1),
        attention__key_length=rank + rope,
        attention__value_length=rank,
        attention__key_length_mla=s.head + rope,
        attention__value_length_mla=s.head,
        attention__kv_lora_rank=rank,
        attention__q_lora_rank=q_rank,
        rope__dimension_count=rope,
        leading_dense_block_count=1,
        expert_shared_count=1,
        expert_weights_scale=2.5,
        expert_gating_func=2,
    )
    for i, p in enumerate(_each(s)):
        m.add(f"{p}attn_norm.weight", s.width)
        m.add(f"{p}attn_q_a_norm.weight", q_rank)
        m.add(f"{p}attn_kv_a_norm.weight", rank)
        m.add(f"{p}attn_q_a.weight", s.width, q_rank)
        m.add(f"{p}attn_q_b.weight", q_rank, s.heads * (s.head + rope))
        m.add(f"{p}attn_kv_a_mqa.weight", s.width, rank + rope)
        m.add(f"{p}attn_k_b.weight", s.head, rank, s.heads)
        m.add(f"{p}attn_v_b.weight", rank, s.head, s.heads)
        m.add(f"{p}attn_output.weight", s.heads * s.head, s.width)
        m.add(f"{p}ffn_norm.weight", s.width)
        if i == 0:
            _ffn(m, p, s.width, s.ff)
        else:
            _experts(m, p, s)
            m.add(f"{p}exp_probs_b.bias", s.experts)
            _ffn(m, p, s.width, s.ff_expert, "_shexp")
    return m


def _mamba2_block(m: Hollow, p: str, width: int, inner: int, state: int, groups: int) -> None:
    heads = inner // 64
    conv = inner + 2 * groups * state
    m.add(f"{p}ssm_in.weight", width, 2 * inner + 2 * groups * state + heads)
    m.add(f"{p}ssm_conv1d.weight", 4, conv, kind="f32")
    m.add(f"{p}ssm_conv1d.bias", conv)
    m.add(f"{p}ssm_dt.bias", heads)
    m.add(f"{p}ssm_a", 1, heads, kind="f32")
    m.add(f"{p}ssm_d", 1, heads, kind="f32")
    m.add(f"{p}ssm_norm.weight", inner // groups, groups)
    m.add(f"{p}ssm_out.weight", inner, width)


def mamba(s: Size) -> Hollow:
    inner, state, rank = 2 * s.width, 16, max(s.width // 16, 1)
    m = _begin(
        "mamba",
        replace(s, heads=0, kv_heads=0, ff=0),
        ssm__conv_kernel=4,
        ssm__inner_size=inner,
        ssm__state_size=state,
        ssm__time_step_rank=rank,
    )
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        m.add(f"{p}ssm_in.weight", s.width, 2 * inner)
        m.add(f"{p}ssm_conv1d.weight", 4, inner, kind="f32")
        m.add(f"{p}ssm_conv1d.bias", inner)
        m.add(f"{p}ssm_x.weight", inner, rank + 2 * state)
        m.add(f"{p}ssm_dt.weight", rank, inner)
        m.add(f"{p}ssm_dt.bias", inner)
        m.add(f"{p}ssm_a", state, inner, kind="f32")
        m.add(f"{p}ssm_d", inner)
        m.add(f"{p}ssm_out.weight", inner, s.width)
    return m


def _ssm(width: int, state: int, groups: int) -> Mapping[str, int]:
    inner = 2 * width
    return {
        "ssm__conv_kernel": 4,
        "ssm__inner_size": inner,
        "ssm__state_size": state,
        "ssm__time_step_rank": inner // 64,
        "ssm__group_count": groups,
    }


def mamba2(s: Size) -> Hollow:
    m = _begin("mamba2", replace(s, heads=0, kv_heads=0, ff=0), **_ssm(s.width, 128, 1))
    for p in _each(s):
        m.add(f"{p}attn_norm.weight", s.width)
        _mamba2_block(m, p, s.width, 2 * s.width, 128, 1)
    return m


def falcon_h1(s: Size) -> Hollow:
    """Attention and recurrent state in every block."""
    m = _begin("falcon-h1", s, **_ssm(s.width, 256, 1))
    for p in _each(s):
        _mamba2_block(m, p, s.width, 2 * s.width, 256, 1)
        _attention(m, p, s)
        m.add(f"{p}attn_norm.weight", s.width)
        m.add(f"{p}ffn_norm", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def granite_hybrid(s: Size) -> Hollow:
    """Every tenth block attends, the others are recurrent."""
    kv = [s.kv_heads if i % 10 == 5 else 0 for i in range(s.blocks)]
    m = _begin("granitehybrid", s, attention__head_count_kv=kv, **_ssm(s.width, 128, 1))
    for i, p in enumerate(_each(s)):
        m.add(f"{p}attn_norm.weight", s.width)
        if kv[i]:
            _attention(m, p, s)
        else:
            _mamba2_block(m, p, s.width, 2 * s.width, 128, 1)
        m.add(f"{p}ffn_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def lfm2(s: Size) -> Hollow:
    """Short convolutions; every third block attends."""
    kv = [s.kv_heads if i % 3 == 2 else 0 for i in range(s.blocks)]
    m = _begin("lfm2", replace(s, tied=True), attention__head_count_kv=kv, shortconv__l_cache=3)
    m.tensors[1] = ("token_embd_norm.weight", (s.width,), "f32")
    for i, p in enumerate(_each(s)):
        m.add(f"{p}attn_norm.weight", s.width)
        if kv[i]:
            _attention(m, p, s, norms=True)
        else:
            m.add(f"{p}shortconv.conv.weight", 3, s.width, kind="f32")
            m.add(f"{p}shortconv.in_proj.weight", s.width, 3 * s.width)
            m.add(f"{p}shortconv.out_proj.weight", s.width, s.width)
        m.add(f"{p}ffn_norm.weight", s.width)
        _ffn(m, p, s.width, s.ff)
    return m


def qwen3next(s: Size) -> Hollow:
    """Three gated delta nets, then one attention; experts in every block."""
    state, groups, heads = 128, max(s.heads, 2), max(2 * s.heads, 4)
    keys, inner = state * groups, state * heads
    m = _begin(
        "qwen3next",
        s,
        rope__dimension_count=s.head // 4,
        ssm__conv_kernel=4,
        ssm__inner_size=inner,
        ssm__state_size=state,
        ssm__time_step_rank=heads,
        ssm__group_count=groups,
        expert_shared_feed_forward_length=s.ff_expert,
        full_attention_interval=4,
    )
    for i, p in enumerate(_each(s)):
        m.add(f"{p}attn_norm.weight", s.width)
        if (i + 1) % 4 == 0:
            _attention(m, p, s, q_gate=2, norms=True)
        else:
            m.add(f"{p}attn_qkv.weight", s.width, 2 * keys + inner)
            m.add(f"{p}attn_gate.weight", s.width, inner)
            m.add(f"{p}ssm_conv1d.weight", 4, 2 * keys + inner, kind="f32")
            m.add(f"{p}ssm_dt.bias", heads)
            m.add(f"{p}ssm_a", heads)
            m.add(f"{p}ssm_ba.weight", s.width, 2 * heads)
            m.add(f"{p}ssm_norm.weight", state)
            m.add(f"{p}ssm_out.weight", inner, s.width)
        m.add(f"{p}post_attention_norm.weight", s.width)
        _experts(m, p, s)
        m.add(f"{p}ffn_gate_inp_shexp.weight", s.width)
        _ffn(m, p, s.width, s.ff_expert, "_shexp")
    return m


FAMILIES: Mapping[str, Family] = {
    "llama": llama,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "phi3": phi3,
    "gemma2": gemma2,
    "gemma3": gemma3,
    "gemma4": gemma4,
    "qwen3moe": qwen3moe,
    "gpt-oss": gpt_oss,
    "glm4moe": glm4moe,
    "deepseek2": deepseek2,
    "mamba": mamba,
    "mamba2": mamba2,
    "falcon-h1": falcon_h1,
    "granitehybrid": granite_hybrid,
    "lfm2": lfm2,
    "qwen3next": qwen3next,
}
