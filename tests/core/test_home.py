"""Where the state folder is."""

from __future__ import annotations

from pathlib import Path

from freehold.core.home import home_dir


def test_the_state_folder_is_the_named_one_or_the_users_state_folder() -> None:
    env = {"HOME": "/home/a"}
    assert home_dir(env) == Path("/home/a/.local/state/freehold")
    assert home_dir({**env, "XDG_STATE_HOME": "/state"}) == Path("/state/freehold")
    assert home_dir({**env, "XDG_STATE_HOME": "/state", "FREEHOLD_HOME": "~/fh"}) == Path("/home/a/fh")
    assert home_dir({"FREEHOLD_HOME": "rel"}) == Path.cwd() / "rel"
