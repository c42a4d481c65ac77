"""The composition root: builds every room from the configuration, owns all lifetimes, and is the only
package that knows concrete adapters.

    serve     the life of one Freehold: open, listen, discover, drain, close
    control   what the control API asks, answered from the rooms
    models    names and places as people see them
"""

from typing import TYPE_CHECKING

from freehold.app.serve import run

if TYPE_CHECKING:
    from freehold.adapters.host.doctor import run_checks as check_machine

__all__ = ["check_machine", "run"]


def __getattr__(name: str) -> object:
    # The doctor looks at GPUs, disks and ports; a Freehold that only serves never loads it.
    if name == "check_machine":
        from freehold.adapters.host.doctor import run_checks  # noqa: PLC0415

        return run_checks
    raise AttributeError(name)
