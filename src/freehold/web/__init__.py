"""The control API: what people and programs see of a running Freehold, and later may change.

Imported late, at the first request for it: FastAPI costs 110 ms and 25 MB, and a Freehold that only relays
calls never needs it. Who may call is decided before a request gets here (`gateway.access`).
"""
