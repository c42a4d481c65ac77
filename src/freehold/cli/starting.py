"""What `freehold up` does: settings from the file and the options, then the composition root serves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from freehold.cli.up_options import UpOptions
from freehold.cli.up_report import reporter
from freehold.core.config_checks import require_usable
from freehold.core.config_file import LoadedConfig, load_config
from freehold.core.errors import FreeholdError
from freehold.core.home import expand_user, home_dir

if TYPE_CHECKING:
    from freehold.gateway.limits import Limits


def start(options: UpOptions) -> int:
    """Serves until stopped; returns the exit status. Raises FreeholdError when it cannot start."""
    loaded = settings(options)
    home = expand_user(options.home, os.environ).absolute() if options.home else home_dir(os.environ)
    report = reporter(sys.stdout, as_json=options.json)
    from freehold.app import run  # noqa: PLC0415 - a mistake in the file is told before everything is loaded

    discover = loaded.config.discover and not options.no_discover
    status = run(
        loaded, home, discover=discover, report=report, limits=_limits(options), listen=options.listen
    )
    if not options.json:
        print("Stopped.")
    return status


def _limits(options: UpOptions) -> Limits | None:
    """The bounds that a test asked for; None means the usual ones."""
    if options.limits is None:
        return None
    from freehold.gateway.limits import Limits  # noqa: PLC0415 - the gateway is not loaded before it is needed

    try:
        return msgspec.json.decode(options.limits, type=Limits)
    except msgspec.MsgspecError as error:
        raise FreeholdError(f"--limits: {error}") from error


def settings(options: UpOptions) -> LoadedConfig:
    """The configuration, with what the options change. Raises ConfigError."""
    file = Path(options.config) if options.config else None
    loaded = load_config(file, os.environ, Path.cwd())
    if options.listen is None:
        return loaded
    config = replace(loaded.config, listen=options.listen)
    require_usable(config)
    return replace(loaded, config=config)
