"""Check rules for source files that no linter states; `make lint` runs it.

    python scripts/check_sources.py [FOLDER ...]

Prints `path:line: what is wrong` for each finding and exits with 1 if there is one.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("seal_env", "agents", "tasks", "tools", "benchmarks", "examples", "recipes", "scripts", "tests")
MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60
RUNS_CODE: Final = {"compile", "__import__"}
LOADS: Final = re.compile(r"Auto\w+\.from_(pretrained|config)")
SWITCHES_OFF: Final = {"pytest.mark.skip", "pytest.mark.xfail"}
SHARED_WITH_STDLIB: Final = {"seal_env/types.py"}
"""The dictionary of the project; imported only by its full name."""
PLACEHOLDER: Final = re.compile("TODO" + "-ROOM")

Finding = tuple[int, str]
"""Line, what is wrong."""


def sources(folders: Sequence[str], root: Path = ROOT) -> list[str]:
    """Python files below the folders, relative to the root. Links are not followed, so that each file comes once."""
    walked = (Path(folder) / name for top in folders for folder, _, names in os.walk(root / top) for name in names)
    return sorted(path.relative_to(root).as_posix() for path in walked if path.suffix == ".py")


def findings(path: str, text: str) -> Iterator[Finding]:
    """Everything wrong with one file."""
    lines = text.splitlines()
    if len(lines) > MAX_FILE_LINES:
        yield 1, f"{len(lines)} lines; at most {MAX_FILE_LINES}"
    if Path(path).stem in sys.stdlib_module_names and path not in SHARED_WITH_STDLIB:
        yield 1, f"a module of the standard library is called {Path(path).stem} too"
    for number, line in enumerate(lines, start=1):
        if PLACEHOLDER.search(line):
            yield number, f"placeholder {line.strip()!r}"
    for node in ast.walk(ast.parse(text)):
        yield from _in_node(path, node)


def _in_node(path: str, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield node.lineno, f"{node.name} has {lines} lines; at most {MAX_FUNCTION_LINES}"
    elif isinstance(node, ast.Call):
        if (name := ast.unparse(node.func)) in RUNS_CODE and not path.startswith("tests/"):
            yield node.lineno, f"{name} could run code from a file or from a model's answer"
        given = {keyword.arg for keyword in node.keywords}
        if LOADS.fullmatch(name) and "trust_remote_code" not in given and not path.startswith("tests/"):
            yield node.lineno, f"{name} asks whether to run a model's code unless it has trust_remote_code=False"
        for keyword in node.keywords:
            if keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) != "False":
                yield node.lineno, "trust_remote_code may only be False"
    elif isinstance(node, ast.Attribute) and path.startswith("tests/") and (mark := ast.unparse(node)) in SWITCHES_OFF:
        yield node.lineno, f"{mark} switches a test off; a fixture may skip it where something is not installed"


def main(folders: Sequence[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    paths = sources(folders or FOLDERS)
    found = [
        f"{path}:{line}: {wrong}"
        for path in paths
        for line, wrong in findings(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    print("\n".join(found) or f"{len(paths)} sources keep to the rules")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
