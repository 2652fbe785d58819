"""Rules that hold for every source file and that no linter states."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("seal_env", "tools", "tasks", "agents")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
STORES_CODE = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
SHARED_WITH_STDLIB = {"seal_env/types.py"}  # the dictionary of the project; imported only by its full name


def python_files(*directories: str) -> list[str]:
    """Paths relative to the root; the links are not followed."""
    walked = (Path(folder) / name for top in directories for folder, _, names in os.walk(ROOT / top) for name in names)
    return sorted(path.relative_to(ROOT).as_posix() for path in walked if path.suffix == ".py")


SOURCES = python_files(*PACKAGES)
ALL = SOURCES + python_files("tests", "examples", "benchmarks")


def nodes(path: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))


def dangers(node: ast.AST) -> Iterator[str]:
    """What `node` does that could run code from a file or from a model's answer."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name in {"eval", "exec", "compile", "__import__", "torch.load", "os.system"}:
            yield name
        for keyword in node.keywords:
            if keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) != "False":
                yield "trust_remote_code"
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in STORES_CODE)
    if isinstance(node, ast.ImportFrom) and node.module in STORES_CODE:
        yield node.module


@pytest.mark.parametrize("path", ALL)
def test_no_file_is_too_long(path: str) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", ALL)
def test_no_function_is_too_long(path: str) -> None:
    functions = [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_no_module_has_a_name_of_the_standard_library() -> None:
    clashes = {path for path in SOURCES if Path(path).stem in sys.stdlib_module_names}
    assert clashes == SHARED_WITH_STDLIB


@pytest.mark.parametrize("path", SOURCES)
def test_no_source_can_run_code_that_it_was_given(path: str) -> None:
    assert [danger for node in nodes(path) for danger in dangers(node)] == []


@pytest.mark.parametrize(
    "code", ["eval(text)", "import pickle", "from dill import loads", "torch.load(path)", "f(trust_remote_code=x)"]
)
def test_the_rule_against_running_code_sees(code: str) -> None:
    assert [danger for node in ast.walk(ast.parse(code)) for danger in dangers(node)] != []


def test_no_test_is_switched_off() -> None:
    marks = ("pytest.mark.skip", "pytest.mark.xfail")
    used = {
        (path, ast.unparse(node))
        for path in python_files("tests")
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
    }
    assert {(path, mark) for path, mark in used if mark in marks} == set()


def test_test_files_have_unique_names() -> None:
    names = [Path(path).name for path in python_files("tests")]
    assert sorted(names) == sorted(set(names))
    assert "__init__.py" not in names
