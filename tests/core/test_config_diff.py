"""Two configurations compared: the least that has to happen."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.core.config import AliasConfig, AuthConfig, Config, MemoryConfig, ProviderConfig, ReceiptsConfig
from freehold.core.config_diff import differences, in_force
from freehold.core.config_servers import RestartConfig, ServerConfig

A, B = ServerConfig(model="/a.gguf"), ServerConfig(model="/b.gguf")
P = ProviderConfig(base_url="http://p/v1", api_key="sk-secret")
BASE = Config(servers={"a": A, "b": B}, providers={"p": P}, models={"fast": ("a", "p/x")})


def effects(old: Config, new: Config) -> dict[str, str]:
    return {change.key: change.effect for change in differences(old, new)}


def test_the_same_file_again_changes_nothing() -> None:
    assert differences(BASE, msgspec.json.decode(msgspec.json.encode(BASE), type=Config)) == ()


def test_only_the_server_that_changed_is_restarted() -> None:
    new = replace(BASE, servers={"a": replace(A, context=9), "b": B})
    (change,) = differences(BASE, new)
    assert (change.key, change.server, change.effect) == ("servers.a", "a", "restart")
    assert change.text == "context changed; drained, then restarted if it runs"


def test_a_server_whose_life_alone_changed_keeps_its_process() -> None:
    kinder = replace(A, idle_stop_s=9.0, priority=1, restart=RestartConfig(tries=1), after=("b",))
    (change,) = differences(BASE, replace(BASE, servers={"a": kinder, "b": B}))
    assert change.effect == "adjust"
    assert "idle_stop" in change.text
    assert (
        differences(BASE, replace(BASE, servers={"a": replace(kinder, slots=9), "b": B}))[0].effect
        == "restart"
    )


def test_servers_come_and_go() -> None:
    assert effects(BASE, replace(BASE, servers={"b": B, "c": A})) == {
        "servers.c": "add",
        "servers.a": "remove",
    }


def test_providers_and_names_swap_the_catalog_only() -> None:
    new = replace(
        BASE,
        providers={"p": replace(P, models=("x",)), "q": P},
        models={"fast": AliasConfig(candidates=("a",), max_wait_s=2.0)},
    )
    assert effects(BASE, new) == {"providers.p": "names", "providers.q": "names", "models.fast": "names"}


def test_another_first_provider_is_a_change_because_it_is_the_default() -> None:
    old = replace(BASE, providers={"p": P, "q": P})
    assert effects(old, replace(BASE, providers={"q": P, "p": P})) == {"providers": "names"}


def test_what_was_settled_at_the_start_needs_another_start() -> None:
    new = replace(
        BASE,
        listen="127.0.0.1:9000",
        memory=MemoryConfig(ram_reserve_bytes=1),
        engines={"vllm": "/v"},
        keep_servers=True,
        receipts=ReceiptsConfig(payloads="all"),
        discover=False,
    )
    assert set(effects(BASE, new).values()) == {"restart Freehold"}
    assert in_force(BASE, new) == BASE


def test_keys_apply_at_once() -> None:
    keyed = replace(BASE, auth=AuthConfig(keys=("k",)))
    assert effects(BASE, keyed) == {"auth": "access"}
    assert effects(keyed, BASE) == {"auth": "access"}
    assert in_force(BASE, keyed).auth.keys == ("k",)


def test_keys_are_not_dropped_while_other_machines_can_reach_us() -> None:
    old = replace(BASE, listen="0.0.0.0:8400", auth=AuthConfig(keys=("k",)))
    new = replace(BASE, listen="127.0.0.1:8400")
    assert effects(old, new) == {"listen": "restart Freehold", "auth": "restart Freehold"}
    assert in_force(old, new).auth.keys == ("k",)


def test_no_value_is_shown_because_it_may_be_secret() -> None:
    new = replace(
        BASE,
        providers={"p": replace(P, api_key="sk-other")},
        servers={"a": replace(A, env=("TOKEN=sk-third",)), "b": B},
        auth=AuthConfig(keys=("sk-fourth",)),
    )
    assert "sk-" not in str(differences(BASE, new))


servers = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        ServerConfig,
        model=st.sampled_from(["/1", "/2"]),
        pin=st.booleans(),
        slots=st.sampled_from([None, 2]),
    ),
)
configs = st.builds(Config, servers=servers, discover=st.booleans(), keep_servers=st.booleans())


@given(configs, configs)
def test_after_a_reload_only_a_restart_of_freehold_is_left_to_do(old: Config, new: Config) -> None:
    left = differences(in_force(old, new), new)
    assert {change.effect for change in left} <= {"restart Freehold"}
    assert {change.key for change in left} == {
        change.key for change in differences(old, new) if change.effect == "restart Freehold"
    }
