"""Writes the tiny model as a GGUF file: `python -m freehold.testing.tiny_model.build [FILE]`.

Needs the development packages `gguf` and `numpy`; nothing that runs in production imports this module.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from freehold.testing.tiny_model import MODEL_NAME, model_path, network, template, tokens

CONTEXT = 262_144
_NORMAL, _CONTROL, _USER = 1, 3, 4


def write(path: Path) -> None:
    """Write the model to `path`, byte for byte the same each time."""
    vocab = tokens.build()
    writer = gguf.GGUFWriter(path, "llama")
    _write_parameters(writer, len(vocab.tokens))
    _write_tokenizer(writer, vocab)
    _write_tensors(writer, vocab)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_parameters(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    writer.add_name(MODEL_NAME)
    writer.add_description("Freehold's built-in test model: recites fixed texts, understands nothing")
    writer.add_license("apache-2.0")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(network.WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(network.FEED_FORWARD)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_key_length(network.HEAD)
    writer.add_value_length(network.HEAD)
    writer.add_rope_dimension_count(network.HEAD)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _write_tokenizer(writer: gguf.GGUFWriter, vocab: tokens.Vocabulary) -> None:
    def kind(token: int) -> int:
        return _CONTROL if token in vocab.control else _USER if token in vocab.triggers else _NORMAL

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocab.tokens)
    writer.add_token_types([kind(token) for token in range(len(vocab.tokens))])
    writer.add_token_merges([f"{first} {second}" for first, second in vocab.merges])
    writer.add_bos_token_id(tokens.PAD)
    writer.add_eos_token_id(tokens.END)
    writer.add_pad_token_id(tokens.PAD)
    writer.add_add_bos_token(False)
    writer.add_chat_template(template.chat_template())


def _write_tensors(writer: gguf.GGUFWriter, vocab: tokens.Vocabulary) -> None:
    width, head, inner = network.WIDTH, network.HEAD, network.FEED_FORWARD
    shapes = {
        "attn_q": (head, width),
        "attn_k": (head, width),
        "attn_v": (head, width),
        "attn_output": (width, head),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    writer.add_tensor("token_embd.weight", network.embeddings(vocab).astype(np.float16))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("output.weight", network.output(vocab).astype(np.float16))
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(width, np.float32))
    for name, shape in shapes.items():
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros(shape, np.float16))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else model_path()
    write(target)
    print(f"{target}: {target.stat().st_size:,} bytes")
