"""Freehold: a local-first control plane for AI agents.

Only what plugins and tests need is public here; everything else is reached through the HTTP
endpoint or the ``freehold`` command.
"""

__version__ = "0.1.0"
