"""`scripts/unpack_gguf.py`: where the GGUF file is found. What is unpacked, tests of pretrained models use."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.unpack_gguf import find

ASSEMBLE = """
from pathlib import Path
def assemble(output_path):
    parts = sorted(Path(__file__).parent.glob("*.part*"))
    output_path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return output_path
"""


def package(folder: Path, name: str, source: str, **files: bytes) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)
    for file, content in files.items():
        (folder / name / file.replace("_", ".")).write_bytes(content)


def test_the_file_is_the_path_or_the_packages_own_which_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "ships_whole", "raise RuntimeError", model_gguf=b"whole")
    whole = tmp_path / "ships_whole/model.gguf"
    for name in ("ships_whole", str(whole)):
        with find(name) as found:
            assert found == whole


def test_a_package_that_ships_parts_assembles_them_and_nothing_of_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "ships_parts", ASSEMBLE, gguf_part0=b"first ", gguf_part1=b"second")
    with find("ships_parts") as found:
        assert found.read_bytes() == b"first second"
    assert not found.parent.exists()


def test_what_has_no_file_or_several_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "ships_two", "", a_gguf=b"", b_gguf=b"")
    package(tmp_path, "ships_none", "")
    for name, count in (("ships_two", 2), ("ships_none", 0), ("not_installed", 0), (str(tmp_path / "no.gguf"), 0)):
        with pytest.raises(FileNotFoundError, match=f"no GGUF file.*{count} were found"), find(name):
            pass
