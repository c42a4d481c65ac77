"""Entry of the program `freehold`: chooses the short way for `up`, turns errors into words and statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from freehold.cli.exits import Exit, exit_of
from freehold.cli.up_options import quick_options
from freehold.cli.wording import plain
from freehold.core.errors import FreeholdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status. `arguments` are those after the program's name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except FreeholdError as error:
        complain(error, as_json="--json" in given)
        return exit_of(error)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stdout = None
        return Exit.OK
    except Exception as error:
        if type(error).__module__ != "sqlite3":  # which not every command loads
            raise
        words = f"the database of receipts cannot be used ({error}): stop Freehold and run"
        told = FreeholdError(f"{words} `freehold receipts rebuild`")
        complain(told, as_json="--json" in given)
        return exit_of(told)


def _run(given: list[str]) -> int:
    # A plain `up` goes around Typer, which would cost it 60 ms and 7 MB for as long as it serves.
    options = quick_options(given[1:]) if given[:1] == ["up"] else None
    if options is not None:
        from freehold.cli.starting import start  # noqa: PLC0415

        return start(options)
    if given[:2] == ["hook", "post-tool-use"]:  # agents wait for it: it goes around Typer too
        from freehold.cli.hook_post import quick_hook  # noqa: PLC0415

        if (status := quick_hook(given[2:])) is not None:
            return status
    from freehold.cli.commands import run_command  # noqa: PLC0415

    return run_command(given)


def complain(error: FreeholdError, *, as_json: bool) -> None:
    """Says on the second stream what went wrong."""
    if as_json:
        import msgspec  # noqa: PLC0415

        body = {"code": exit_of(error).name.lower(), "exit": int(exit_of(error)), "message": str(error)}
        print(msgspec.json.encode({"error": body}).decode(), file=sys.stderr)
    else:
        print(f"freehold: {plain(error)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
