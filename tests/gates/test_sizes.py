"""The size gates catch what they promise to catch, and their exceptions can only shrink."""

from __future__ import annotations

from pathlib import Path

from gates.sizes import Excess, file_excesses, judge, tree_excesses


def found(source: str, name: str = "src/freehold/costs/book.py") -> list[tuple[str, bool]]:
    return [(excess.where, excess.hard) for excess in file_excesses(name, source, count_parameters=True)]


def function_of(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_a_long_file_warns_and_a_longer_one_fails() -> None:
    name = "src/freehold/costs/book.py"
    assert found("x = 1\n" * 400) == []
    assert found("x = 1\n" * 401) == [(name, False)]
    assert found("x = 1\n" * 601) == [(name, True)]


def test_a_long_function_warns_and_a_longer_one_fails() -> None:
    where = "src/freehold/costs/book.py::f"
    assert found(function_of(40)) == []
    assert found(function_of(41)) == [(where, False)]
    assert found(function_of(71)) == [(where, True)]


def test_a_method_is_named_with_its_class() -> None:
    source = "class Book:\n    def price(self, a, b, c, d, e, *, f, g):\n        pass\n"
    assert found(source) == [("src/freehold/costs/book.py::Book.price", True)]


def test_self_is_not_a_parameter() -> None:
    assert found("class Book:\n    def price(self, a, b, c, d, e, f):\n        pass\n") == []


def test_a_module_that_is_a_drawer_fails() -> None:
    assert found("", "src/freehold/costs/utils.py") == [("src/freehold/costs/utils.py", True)]
    assert found("", "src/freehold/common/__init__.py") == [("src/freehold/common/__init__.py", True)]


def test_an_exception_lets_pass_and_a_stale_one_fails() -> None:
    hard = Excess("a.py", 1, "too long", hard=True)
    assert judge([hard], {})[0] == ["a.py:1: too long"]
    assert judge([hard], {"a.py": "a table"})[0] == []
    assert judge([], {"a.py": "a table"})[0] == ["gates/sizes.py: exception no longer needed: a.py"]


def test_every_python_file_of_the_tree_is_looked_at(tmp_path: Path) -> None:
    deep = tmp_path / "src" / "freehold" / "costs"
    deep.mkdir(parents=True)
    (deep / "helpers.py").write_text("x = 1\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_wide.py").write_text("def f(a, b, c, d, e, g, h): ...\n")
    assert [each.where for each in tree_excesses(tmp_path)] == ["src/freehold/costs/helpers.py"]
