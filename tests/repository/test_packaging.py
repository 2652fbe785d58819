"""What a wheel holds, and under which names the sources can be imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
LINKED = ("agents", "tasks", "tools")
NOT_SOURCES = (".git", ".venv", "runs", "build", "dist", "*.egg-info", "__pycache__")


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


def run_python(code: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **kwargs)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy: a build leaves folders behind, and stale ones would end up in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_package_directory_is_listed() -> None:
    with_python = {str(Path(name).parent).replace("/", ".") for name in source_files() if name.endswith(".py")}
    assert with_python == set(SETUPTOOLS["packages"])


def test_every_package_has_an_init() -> None:
    names = source_files()
    assert [p for p in SETUPTOOLS["packages"] if f"{p.replace('.', '/')}/__init__.py" not in names] == []


def test_the_wheel_has_one_top_level_name(wheel_names: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"seal_env"}


def test_the_wheel_holds_every_source_and_data_file_once_and_nothing_else(wheel_names: set[str]) -> None:
    assert {name for name in wheel_names if ".dist-info/" not in name} == set(source_files())


def test_the_wheel_is_typed_and_carries_its_licence(wheel_names: set[str]) -> None:
    assert "seal_env/py.typed" in wheel_names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)


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
    code = f"from importlib import import_module as get\nfor m in {SETUPTOOLS['packages']!r}: print(get(m).__file__)"
    shown = run_python(code, env=os.environ | {"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    inside = [line.startswith(str(tmp_path / "seal_env")) for line in shown.stdout.splitlines()]
    assert inside == [True] * len(SETUPTOOLS["packages"]), shown.stderr


@pytest.mark.parametrize("name", LINKED)
def test_importing_from_the_root_is_refused(name: str) -> None:
    refused = run_python(f"import {name}", cwd=ROOT)
    assert refused.returncode != 0
    assert f"packaged as seal_env.{name}" in refused.stderr


@pytest.mark.parametrize("name", LINKED)
def test_the_links_are_relative(name: str) -> None:
    assert os.readlink(ROOT / "seal_env" / name) == f"../{name}"


@pytest.mark.parametrize("name", ["seal_env", "seal_env.models.catalog"])
def test_naming_the_package_or_its_model_imports_no_torch(name: str) -> None:
    shown = run_python(f"import {name}, sys; print('torch' in sys.modules, 'transformers' in sys.modules)", cwd=ROOT)
    assert shown.stdout.split() == ["False", "False"], shown.stderr


NEED_TORCH = (
    "seal_env/inner_loop/",
    "seal_env/agents/lm/",
    "seal_env/agents/rl/",
    "seal_env/agents/trainers/",
    "seal_env/experiments/train.py",
    "seal_env/experiments/reproduce/table.py",
)


def test_modules_that_need_no_torch_do_not_import_it() -> None:
    names = [name for name in source_files() if name.endswith(".py") and not name.startswith(NEED_TORCH)]
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names]
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\nprint('torch' in sys.modules)"
    shown = run_python(code, cwd=ROOT)
    assert shown.stdout.strip() == "False", shown.stderr


def test_every_dependency_is_pinned_within_its_range() -> None:
    lines = (ROOT / "lock" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [
        *map(Requirement, [*PROJECT["project"]["dependencies"], *(each for extra in extras.values() for each in extra)])
    ]
    own = [requirement for requirement in asked if requirement.name == "seal-env"]
    assert {name for requirement in own for name in requirement.extras} <= set(extras)
    for requirement in (each for each in asked if each not in own):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement
