"""Why a server of ours broke off: what its owner finds out is awaited for a moment, for the client to hear.

A death is noticed within milliseconds, and looked into within about a second. Whoever has another place to go
to does not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.core.servers import ServerState

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_LOOK_EVERY_S = 0.02
_NOTICED_WITHIN_LOOKS = 12
_KNOWN_WITHIN_LOOKS = 90
_OVER = (ServerState.BACKOFF, ServerState.FAILED)
_LOOKING = "looking why"
"""How the owner says that it does not know yet."""


def ask_why(call: Call, reason: str, then: Callable[[str], None]) -> None:
    """Call `then` with the reason in better words, now or within two seconds; not when the call is over
    before. The call must have no attempt under way."""
    server = call.target.deployment.server if call.target is not None else None
    if server is None:
        then(reason)
    else:
        _look(call, server, reason, then, 0)


def _look(call: Call, server: str, reason: str, then: Callable[[str], None], looks: int) -> None:
    if call.settled:
        return
    try:
        view = call.gateway.servers.view(server)
    except KeyError:
        then(reason)
        return
    known = view.state in _OVER and _LOOKING not in view.detail
    patience = _KNOWN_WITHIN_LOOKS if view.state in _OVER else _NOTICED_WITHIN_LOOKS
    if not known and looks < patience:
        call.after(_LOOK_EVERY_S, lambda: _look(call, server, reason, then, looks + 1))
    elif known and view.detail:
        then(f"the model server '{server}' died under this call: {view.detail}")
    elif view.state is ServerState.READY:
        then(reason)
    else:
        then(f"the model server '{server}' died under this call; `freehold servers why {server}` says why")
