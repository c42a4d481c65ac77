"""Stories of `freehold.yaml`: where it is looked for, what it says, and what is said about mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config import Config
from freehold.core.config_build import build_config
from freehold.core.config_file import find_config, load_config, read_config
from freehold.core.config_source import parse_document
from freehold.core.errors import ConfigError

SECRET = "sk-very-secret-0123456789abcdef"


def written(folder: Path, text: str, name: str = "freehold.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def problem(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> ConfigError:
    """The first problem of a file; none of its problems may show the secret."""
    config, problems = read_config(written(tmp_path, text), env or {"KEY": SECRET})
    assert config is None
    assert all(SECRET not in str(error) for error in problems)
    return problems[0]


# -- where the file is looked for


def test_without_any_file_everything_has_a_default(tmp_path: Path) -> None:
    loaded = load_config(None, {"HOME": str(tmp_path)}, tmp_path)
    assert loaded.file is None
    assert loaded.config == Config()


def test_the_option_wins_over_the_variable_over_the_folder_over_the_users_folder(tmp_path: Path) -> None:
    cwd, home = tmp_path / "work", tmp_path / "home"
    env = {"HOME": str(home)}
    users = written(home / ".config" / "freehold", "")
    cwd.mkdir()
    assert find_config(None, env, cwd) == users
    here = written(cwd, "")
    assert find_config(None, env, cwd) == here
    env["FREEHOLD_CONFIG"] = str(written(tmp_path, "", "other.yaml"))
    assert find_config(None, env, cwd) == tmp_path / "other.yaml"
    assert find_config(written(tmp_path, "", "third.yaml"), env, cwd) == tmp_path / "third.yaml"


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file \(named by --config\)"):
        find_config(Path("absent.yaml"), {}, tmp_path)
    with pytest.raises(ConfigError, match=r"is a folder.*\$FREEHOLD_CONFIG"):
        find_config(None, {"FREEHOLD_CONFIG": str(tmp_path)}, tmp_path)


# -- what it says


def test_a_whole_file_becomes_typed_values_with_absolute_paths(tmp_path: Path) -> None:
    text = """
listen: 0.0.0.0:9000
auth: {keys: ["${MY_KEY}"]}
providers:
  openai: {base_url: "https://api.openai.com/v1/", api_key: "${KEY}", models: [gpt-5, gpt-5-mini]}
  claude: {dialect: anthropic, base_url: https://api.anthropic.com, headers: {x-team: blue}, timeout_s: 30}
servers:
  qwen: {model: models/qwen.gguf, context: 8192}
  phi: {model: ~/phi.gguf}
models:
  fast: [qwen, openai/gpt-5-mini]
receipts: {payloads: errors, dir: kept}
discover: false
"""
    loaded = load_config(
        written(tmp_path, text), {"KEY": SECRET, "MY_KEY": "k", "HOME": "/home/someone"}, tmp_path
    )
    config = loaded.config
    assert config.listen == "0.0.0.0:9000"
    assert config.providers["openai"].api_key == SECRET
    assert config.providers["openai"].base_url == "https://api.openai.com/v1"
    assert config.providers["openai"].models == ("gpt-5", "gpt-5-mini")
    assert config.providers["claude"].models == "*"
    assert config.providers["claude"].timeout_s == 30.0
    assert config.servers["qwen"].model == str(tmp_path / "models" / "qwen.gguf")
    assert config.servers["phi"].model == "/home/someone/phi.gguf"
    assert config.models == {"fast": ("qwen", "openai/gpt-5-mini")}
    assert config.receipts.dir == str(tmp_path / "kept")
    assert config.discover is False


def test_an_empty_file_and_empty_sections_mean_defaults(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "# nothing yet\n"), {}) == (Config(), [])
    assert read_config(written(tmp_path, "auth:\nproviders:\nreceipts:\n"), {}) == (Config(), [])


def test_a_variable_may_stand_for_a_number_or_a_truth(tmp_path: Path) -> None:
    text = "servers: {a: {model: x, context: '${CTX}'}}\ndiscover: ${LOOK:-false}\n"
    config, problems = read_config(written(tmp_path, text), {"CTX": "512"})
    assert problems == []
    assert config is not None
    assert config.servers["a"].context == 512
    assert config.discover is False


def test_an_api_key_of_digits_from_a_variable_stays_text(tmp_path: Path) -> None:
    config, _ = read_config(
        written(tmp_path, "providers: {p: {base_url: http://x, api_key: '${KEY}'}}"), {"KEY": "00123"}
    )
    assert config is not None
    assert config.providers["p"].api_key == "00123"


def test_the_env_file_beside_it_fills_in_and_the_environment_wins(tmp_path: Path) -> None:
    written(tmp_path, "A=from-file\nB=from-file\n", ".env")
    file = written(tmp_path, "providers: {p: {base_url: http://x, headers: {a: '${A}', b: '${B}'}}}")
    config, _ = read_config(file, {"B": "from-env"})
    assert config is not None
    assert config.providers["p"].headers == {"a": "from-file", "b": "from-env"}


def test_a_model_named_like_a_date_is_a_name(tmp_path: Path) -> None:
    config, problems = read_config(
        written(tmp_path, "providers: {p: {base_url: http://x, models: [2024-08-06]}}"), {}
    )
    assert problems == []
    assert config is not None
    assert config.providers["p"].models == ("2024-08-06",)


# -- what is said about mistakes

MISTAKES = [
    pytest.param("\nlisten: a:1\nprovider: {}\n", 3, "provider", "Did you mean 'providers'?", id="near-miss"),
    pytest.param("zzz: 1\n", 1, "zzz", "valid here: listen, auth, providers", id="unknown-far"),
    pytest.param(
        "providers:\n  a:\n    base_ur: http://x\n",
        2,
        "providers.a",
        "base_url is missing",
        id="required",
    ),
    pytest.param(
        "servers:\n  a:\n    model: x\n    slots: 0\n", 4, "servers.a.slots", "at least 1", id="bound"
    ),
    pytest.param(
        "servers: {a: {model: x, context: 4k}}", 1, "servers.a.context", "a whole number", id="kind"
    ),
    pytest.param(
        "providers: {a: {base_url: http://x, dialect: opnai}}",
        1,
        "providers.a.dialect",
        "expected 'openai' or 'anthropic', found other text",
        id="choice",
    ),
    pytest.param("models:\n  a: [x,\n  3]\n", 3, "models.a[1]", "put it in quotes", id="list-element"),
    pytest.param(
        "models: {a: x}",
        1,
        "models.a",
        "expected a list of text or keys and values, found text",
        id="not-a-list",
    ),
    pytest.param("models: {a: []}", 1, "models.a", "at least one candidate", id="no-candidate"),
    pytest.param("- a\n", 1, None, "expected keys and values, found a list", id="top-is-list"),
    pytest.param("listen: a:1\n\nlisten: b:2\n", 3, "listen", "first in line 1", id="duplicate"),
    pytest.param("auth: {keys: [a, b", 1, None, "not valid YAML", id="syntax"),
    pytest.param("a:\n\tb: 1", 2, None, "a tab stands where", id="tab"),
    pytest.param("listen: !!python/name:os.system x", 1, "listen", "tags", id="tag"),
    pytest.param("auth: &a {}\nservers: {<<: *a}", 2, None, "merge keys", id="merge"),
    pytest.param("yes: 1", 1, None, "a key must be text", id="bool-key"),
    pytest.param("a: 1\n---\nb: 2\n", 2, None, "not valid YAML", id="two-documents"),
    pytest.param("listen: 8400", 1, "listen", "put it in quotes", id="port-only"),
    pytest.param("listen: ':8400'", 1, "listen", "HOST:PORT", id="no-host"),
    pytest.param("listen: localhost:99999", 1, "listen", "HOST:PORT", id="port-too-high"),
    pytest.param("listen: 0.0.0.0:8400", 1, "listen", "freehold key new", id="open-without-keys"),
    pytest.param("auth: {keys: ['sha256:12']}", 1, "auth.keys[0]", "64 hex digits", id="bad-hash"),
    pytest.param("providers: {a/b: {base_url: http://x}}", 1, "providers.a/b", "no '/'", id="slash-in-name"),
    pytest.param("providers: {a: {base_url: x.com}}", 1, "providers.a.base_url", "https://", id="no-scheme"),
    pytest.param(
        f"providers: {{a: {{base_url: 'https://u:{SECRET}@x'}}}}",
        1,
        "providers.a.base_url",
        "user name",
        id="userinfo",
    ),
    pytest.param(
        "providers: {a: {base_url: 'http://[x'}}", 1, "providers.a.base_url", "not a valid", id="url"
    ),
    pytest.param(
        "providers: {a: {base_url: http://x, headers: {'a b': c}}}",
        1,
        "providers.a.headers.a b",
        "valid header name",
        id="header-name",
    ),
    pytest.param(
        'providers: {a: {base_url: http://x, headers: {h: "x\\r\\ny: z"}}}',
        1,
        "providers.a.headers.h",
        "control characters",
        id="header-injection",
    ),
    pytest.param(
        "models: {a: [b]}\nservers: {a: {model: x}}", 1, "models.a", "a server has the same name", id="clash"
    ),
    pytest.param(
        "providers: {a: {base_url: http://x, models: []}}", 1, "providers.a.models", "empty", id="none"
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "said"), MISTAKES)
def test_a_mistake_is_named_by_line_and_key(
    tmp_path: Path, text: str, line: int, key: str | None, said: str
) -> None:
    error = problem(tmp_path, text)
    assert (error.line, error.key) == (line, key)
    assert said in str(error)
    assert str(tmp_path / "freehold.yaml") in str(error)


def test_all_mistakes_are_found_in_the_order_of_lines(tmp_path: Path) -> None:
    text = "lisen: x\nproviders:\n  a: {timeout_s: none}\n  b: {base_url: 3}\n"
    _, problems = read_config(written(tmp_path, text), {})
    assert [(error.line, error.key) for error in problems] == [
        (1, "lisen"),
        (3, "providers.a"),
        (3, "providers.a.timeout_s"),
        (4, "providers.b.base_url"),
    ]


def test_a_missing_variable_is_named_with_its_place(tmp_path: Path) -> None:
    error = problem(tmp_path, "providers:\n  a:\n    base_url: http://x\n    api_key: ${NOT_SET}\n")
    assert (error.line, error.key) == (4, "providers.a.api_key")
    assert "variable NOT_SET is not set" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "providers: {a: {base_url: '${KEY}'}}",
        "providers: {a: {base_url: http://x, dialect: '${KEY}'}}",
        "providers: {a: {base_url: http://x, timeout_s: '${KEY}'}}",
        "providers: {a: {base_url: http://x, headers: '${KEY}'}}",
        "providers: {a: {base_url: http://x, api_key: '${KEY} '}}",
        "listen: '${KEY}'",
        "auth: {keys: ' ${KEY}'}",
        "auth: {keys: ['sha256:${KEY}']}",
        f"auth: {{keys: {{{SECRET}}}}}",
        f"auth: {{{SECRET}: 1}}",
        f"auth: {{keys: [*{SECRET}]}}",
        f"auth: {{keys: [{SECRET}",
        f"auth: !{SECRET} x",
    ],
)
def test_a_secret_in_the_wrong_place_is_never_repeated(tmp_path: Path, text: str) -> None:
    problem(tmp_path, text)  # asserts that no message shows it


def test_a_small_file_that_repeats_itself_without_end_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "repeats itself" in str(problem(tmp_path, "\n".join(lines)))
    assert "repeats itself" in str(problem(tmp_path, "a: &a [*a]"))
    assert "nested too deeply" in str(problem(tmp_path, "[" * 5000))


def test_files_that_no_configuration_is_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_bytes(b"listen: a:1\n# caf\xe9\n")
    assert read_config(file, {})[1][0].line == 2
    file.write_bytes(b"#" * (1 << 20) + b"\n")
    assert "larger than 1 MiB" in str(read_config(file, {})[1][0])
    file.write_bytes(b"listen: \x00")
    assert "forbidden character" in str(read_config(file, {})[1][0])
    assert "cannot be read" in str(read_config(tmp_path / "absent.yaml", {})[1][0])


@given(st.text(alphabet=st.sampled_from("ab:-{}[]\"'\n \t&*!|>#%,?$\\0"), max_size=60))
def test_any_text_ends_in_settings_or_in_a_named_problem(text: str) -> None:
    try:
        document = parse_document(text, "f.yaml", {})
    except ConfigError as error:
        assert error.file == "f.yaml"
        return
    config, problems = build_config(document, "f.yaml")
    assert (config is None) == bool(problems)
