"""Opens the one port, and says who may not have it when it cannot."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import cast

from freehold.core.errors import FreeholdError
from freehold.core.listen import Listen
from freehold.gateway.gateway import Gateway


async def open_port(gateway: Gateway, listen: Listen) -> asyncio.Server:
    """Accept connections for `gateway`. Raises FreeholdError when the address cannot be had."""
    try:
        return await asyncio.get_running_loop().create_server(
            cast("Callable[[], asyncio.Protocol]", gateway.connection),
            listen.host,
            listen.port,
            backlog=2048,
            reuse_address=True,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise FreeholdError(
                f"port {listen.port} on {listen.host} is taken by another program: stop it, or choose "
                "another with --listen HOST:PORT. `freehold doctor` shows who holds it."
            ) from error
        raise FreeholdError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror or error}"
        ) from error
