"""Bounds on size: a file, a function or a parameter list that outgrows its room fails `make lint`.

Soft bounds print a warning, hard bounds fail. `EXCEPTIONS` names what may pass a hard bound, each with its
reason; an entry that is no longer needed fails too, so the list can only shrink.
Parameters count for code that others call (`src`, `gates`); `self` and `cls` do not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TREES = ("src", "tests", "benchmarks", "gates", "integrations")
CALLED_BY_OTHERS = ("src", "gates")
FILE_LINES = (400, 600)
FUNCTION_LINES = (40, 70)
PARAMETERS = 6
FORBIDDEN_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"})

EXCEPTIONS: Mapping[str, str] = {}
"""`path` (file too long, forbidden name) or `path::function` (too long, too many parameters) -> reason."""


@dataclass(frozen=True)
class Excess:
    """Something larger than its bound. `where` is what an exception would name."""

    where: str
    line: int
    what: str
    hard: bool


def main(root: Path) -> int:
    """Prints every excess under `root`; 1 when a hard one is not excepted or an exception is stale."""
    excesses = list(tree_excesses(root))
    failures, warnings = judge(excesses, EXCEPTIONS)
    for line in warnings:
        print(f"warning: {line}")
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    return 1 if failures else 0


def judge(excesses: Iterable[Excess], exceptions: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Splits into failures and warnings, and adds a failure for each exception that excepts nothing."""
    failures: list[str] = []
    warnings: list[str] = []
    used: set[str] = set()
    for excess in excesses:
        text = f"{excess.where.partition('::')[0]}:{excess.line}: {excess.what}"
        if not excess.hard:
            warnings.append(text)
        elif excess.where in exceptions:
            used.add(excess.where)
        else:
            failures.append(text)
    failures += [
        f"gates/sizes.py: exception no longer needed: {name}" for name in exceptions if name not in used
    ]
    return failures, warnings


def tree_excesses(root: Path) -> Iterator[Excess]:
    """All excesses of the Python files below `root`."""
    for tree in TREES:
        for path in sorted((root / tree).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            yield from file_excesses(name, path.read_text(encoding="utf-8"), tree in CALLED_BY_OTHERS)


def file_excesses(name: str, source: str, count_parameters: bool) -> Iterator[Excess]:
    """Excesses of one file; `name` is its path with forward slashes."""
    stem = Path(name).stem
    if stem in FORBIDDEN_NAMES or Path(name).parent.name in FORBIDDEN_NAMES:
        yield Excess(name, 1, f"'{stem}' says nothing about what lives here: name it by its noun", True)
    lines = source.count("\n")
    if lines > FILE_LINES[0]:
        what = f"{lines} lines (warning above {FILE_LINES[0]}, error above {FILE_LINES[1]}): split it by noun"
        yield Excess(name, 1, what, lines > FILE_LINES[1])
    yield from function_excesses(name, ast.parse(source, name), "", count_parameters)


def function_excesses(name: str, node: ast.AST, prefix: str, count_parameters: bool) -> Iterator[Excess]:
    """Excesses of the functions inside `node`, outermost first; `prefix` is the dotted path so far."""
    for child in ast.iter_child_nodes(node):
        path = prefix
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            path = f"{prefix}{child.name}."
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{name}::{path[:-1]}"
            lines = (child.end_lineno or child.lineno) - child.lineno + 1
            if lines > FUNCTION_LINES[0]:
                bounds = f"(warning above {FUNCTION_LINES[0]}, error above {FUNCTION_LINES[1]})"
                what = f"{path[:-1]} has {lines} lines {bounds}"
                yield Excess(where, child.lineno, what, lines > FUNCTION_LINES[1])
            count = parameter_count(child)
            if count_parameters and count > PARAMETERS:
                yield Excess(where, child.lineno, f"{path[:-1]} has {count} parameters (at most 6)", True)
        yield from function_excesses(name, child, path, count_parameters)


def parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Named parameters, keyword-only ones included, `self` and `cls` not."""
    positional = [*function.args.posonlyargs, *function.args.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    return len(positional) + len(function.args.kwonlyargs)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
