"""The composition root: builds every room from the configuration, owns all lifetimes, and is the only
package that knows concrete adapters.

    serve     the life of one Freehold: open, listen, discover, drain, close
    control   what the control API asks, answered from the rooms
    models    names and places as people see them
"""

from freehold.app.serve import run

__all__ = ["run"]
