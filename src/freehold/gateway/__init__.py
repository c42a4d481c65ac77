"""The data plane: one HTTP/1.1 port, every call from its first byte to its receipt.

    connection   bytes of one client connection -> requests, answers -> bytes
    gateway      which request goes where: a call, a local answer, the control application
    access       Host, Origin and API keys
    endpoints    what each path means
    peek         the few fields of a body that we act on, and changing them in place
    call         one call: candidates, attempts, the one exit door
    upstream     pooled connections to model servers and providers
    relay, tap   the answer on its way back, and the usage read from it
    record       the receipt

Callbacks on the hot path, no coroutine per call; a timer or a callback where a call must wait.
"""

from freehold.gateway import compiled

NATIVE = compiled.use(__path__)
"""Whether the compiled hot modules are in use."""
