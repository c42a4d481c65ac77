"""The tiny model's file, code and template; its answers from a real engine are in `tests/adapters`."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from freehold.testing.tiny_model import MODEL_NAME, build, model_path, network, scripts, tokens, vocabulary


@pytest.fixture(scope="module")
def vocab() -> tokens.Vocabulary:
    return tokens.build()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    build.write(path)
    yield path


def test_the_file_in_the_package_is_what_the_generator_makes(made: Path) -> None:
    same = hashlib.sha256(made.read_bytes()).digest() == hashlib.sha256(model_path().read_bytes()).digest()
    assert same, "run: python -m freehold.testing.tiny_model.build"


def test_the_file_is_small_and_says_what_it_is() -> None:
    assert 1_000_000 < model_path().stat().st_size < 5_000_000
    reader = gguf.GGUFReader(model_path())
    assert reader.fields["general.name"].contents() == MODEL_NAME
    assert "test model" in reader.fields["general.description"].contents()
    assert reader.fields["llama.context_length"].contents() == 262_144


def test_code_words_of_two_tokens_share_one_position_at_most() -> None:
    words = [set(network.code_positions(n)) for n in range(0, network.P**2, 7)]
    assert all(len(word) == network.BLOCKS for word in words)
    assert max(len(a & b) for a, b in itertools.combinations(words, 2)) == 1


def test_more_pieces_than_code_words_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 961 pieces"):
        network.code_positions(network.P**2)


def test_every_text_is_recited_to_its_last_letter_by_the_weights_alone(vocab: tokens.Vocabulary) -> None:
    rows, out = network.embeddings(vocab), network.output(vocab)
    normal = rows / np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
    logits = normal @ out.T
    best = np.argmax(logits, axis=1)
    second = np.partition(logits, -2, axis=1)[:, -2]
    for name, text in scripts.texts().items():
        if name in (scripts.FOREVER, scripts.ANY_TOOL):
            continue  # these have no end of their own
        said, token = [], vocab.chains[name][0]
        while (token := int(best[token])) != tokens.END:
            said.append(vocab.tokens[token])
        assert "".join(said) == vocabulary.spell(text), name
    told = [token for chain in vocab.chains.values() for token in chain]
    sure = [logits[t].max() - second[t] for t in told if t != vocab.chains[scripts.ANY_TOOL][-1]]
    assert min(sure) > 200  # nothing else is ever sampled, at any temperature in use


def test_without_a_keyword_any_last_token_starts_the_default_text(vocab: tokens.Vocabulary) -> None:
    rows, out = network.embeddings(vocab), network.output(vocab)
    first = vocab.chains[scripts.DEFAULT][1]
    prompt_only = [t for t in range(len(vocab.tokens)) if rows[t, network.OTHER] > 0]
    assert len(prompt_only) > 3800
    assert set(np.argmax(rows[prompt_only] @ out.T, axis=1)) == {first}


def test_no_piece_of_a_text_can_be_part_of_a_prompt_nor_of_another_text(vocab: tokens.Vocabulary) -> None:
    pieces = [token for chain in vocab.chains.values() for token in chain]
    assert len(pieces) == len(set(pieces))
    reachable = set(vocabulary.base_tokens(vocab.merges))
    assert not reachable & {vocab.tokens[token] for token in pieces}
    assert len(set(vocab.tokens)) == len(vocab.tokens)


def test_selectors_are_never_shown(vocab: tokens.Vocabulary) -> None:
    assert {chain[0] for chain in vocab.chains.values()} <= vocab.control


def test_every_byte_can_be_spelled_so_that_any_text_is_a_prompt(vocab: tokens.Vocabulary) -> None:
    everything = bytes(range(256)).decode("latin-1")
    assert set(vocabulary.spell(everything)) <= set(vocab.tokens)


def test_the_default_text_says_that_this_is_a_test_model_and_what_to_do() -> None:
    text = scripts.texts()[scripts.DEFAULT]
    assert "freehold-tiny" in text
    assert "test model" in text
    assert "~/models" in text
