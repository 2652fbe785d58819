"""docs/architecture.md is true: its pictures and its table agree with the packages, the layers and the docstrings."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import seal_env.tools.base
import seal_env.types

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS_PICTURE, WALK_PICTURE = re.findall(r"^```mermaid\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOUNS = {"ToolCall", "Draft", "SelfEdit", "UpdateJob", "UpdateResult", "Evaluation", "Step"}
PACKAGES = sorted(
    path.parent for top in ("seal_env", "agents", "tasks", "tools") for path in (ROOT / top).rglob("__init__.py")
)
"""All packages of the wheel, each once: the links below seal_env are not followed."""


def drawn_layers() -> list[set[str]]:
    """The layers of the first picture, top to bottom: single rooms, and subgraphs of several."""
    groups = {
        name: set(body.split()) for name, body in re.findall(r"subgraph (\w+)\n(.*?)\n    end", ROOMS_PICTURE, re.DOTALL)
    }
    chains = [re.sub(r"\w+\[\"(\w+)\"\]", r"\1", line).split("-->") for line in ROOMS_PICTURE.splitlines() if "-->" in line]
    order = list(dict.fromkeys(name.strip() for chain in chains for name in chain))
    return [groups.get(name, {name}) for name in order]


def docstring(package: Path) -> str:
    return ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""


def comes_in_and_goes_out(package: Path) -> tuple[str, str] | None:
    """What the second paragraph of the package's docstring says."""
    _, _, rest = docstring(package).partition("\n\n")
    found = re.search(r"(?:^|\. )([^.;]+?),? comes? in; ([^;]+?),? goe?s? out\b", " ".join(rest.split()))
    return (found[1], found[2]) if found else None


def test_picture_has_the_layers_that_import_linter_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert drawn_layers() == [set(layer.split(" | ")) for layer in layers]


def test_picture_has_every_package_and_module_of_seal_env() -> None:
    found = {path.name for path in (ROOT / "seal_env").iterdir() if (path / "__init__.py").exists()}
    found |= {path.stem for path in (ROOT / "seal_env").glob("*.py")} - {"__init__"}
    assert set().union(*drawn_layers()) == found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOT)))
def test_every_package_says_what_comes_in_and_what_goes_out(package: Path) -> None:
    assert package == ROOT / "seal_env" or comes_in_and_goes_out(package), docstring(package)


def test_table_has_every_room_in_the_words_of_its_docstring() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    shown = {name: (comes_in.lower(), goes_out.lower()) for name, comes_in, goes_out in rows}
    rooms = [path for path in PACKAGES if path.parent in (ROOT, ROOT / "seal_env") and path != ROOT / "seal_env"]
    said = {room.name: comes_in_and_goes_out(room) for room in rooms}
    assert shown == {name: (found[0].lower(), found[1].lower()) for name, found in said.items() if found}


def test_walk_has_the_seven_nouns_between_rooms_that_exist() -> None:
    participants = set(re.findall(r"participant (\w+)", WALK_PICTURE))
    assert participants <= set().union(*drawn_layers())
    messages = re.findall(r"^    (\w+)--?>>(\w+): (.+)$", WALK_PICTURE, re.MULTILINE)
    assert {room for sender, receiver, _ in messages for room in (sender, receiver)} == participants
    assert set(re.findall(r"[A-Z]\w+", " ".join(words for _, _, words in messages))) == NOUNS
    assert all(hasattr(seal_env.types, noun) or hasattr(seal_env.tools.base, noun) for noun in NOUNS)
