"""A folder with what the steps of a recipe read, made ahead of training: shards, and a manifest that describes them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from recipes.shard import compress, decompress, pack, unpack
from recipes.step_data import Source, StepData
from seal_env.errors import SettingError, StorageError
from seal_env.journal import storage_errors, write_whole

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
POLL_SECONDS: Final = 0.2
NOT_READ: Final = ("optimizer", "chunks", "part", "inner_weight", "plain_weight", "self_edit_weight", "lora")
"""Settings of a stage on which its data do not depend."""


def data_settings(settings: Any) -> dict[str, Any]:
    """The settings on which a stage's data depend, as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return {name: value for name, value in found.items() if name not in NOT_READ}


def data_steps(settings: Any) -> int:
    """Steps with different data."""
    return int(settings.optimizer.data_steps or settings.optimizer.steps)


class DataFolder:
    """Shards by stage.

    Args:
        path: The folder.
        patience: Seconds to wait for a manifest or a shard that is still being made; after one wait in vain, for no other.
    """

    def __init__(self, path: Path, patience: float = 0.0) -> None:
        self.path, self.patience = path, patience
        self.manifest: dict[str, Any] = {}
        ends = time.monotonic() + patience
        while not (path / MANIFEST).exists() and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)
        self.read()

    def read(self) -> None:
        """The manifest anew. Raises SettingError if it is none."""
        file = self.path / MANIFEST
        try:
            self.manifest = json.loads(file.read_text(encoding="utf-8"))
            known = self.manifest["format"] == FORMAT and isinstance(self.manifest["stages"], dict)
        except FileNotFoundError:
            raise SettingError("data", str(self.path), f"a folder with {MANIFEST}, as recipes.ahead makes it") from None
        except (ValueError, KeyError, TypeError) as error:
            raise SettingError("data", str(file), f"a manifest that can be read ({error!r})") from error
        if not known:
            raise SettingError("data", str(file), f"a manifest of format {FORMAT}")

    def check(self, recipe: str, tokenizer: str) -> None:
        """Raises SettingError if the data are another recipe's or another tokenizer's."""
        for name, expected in (("recipe", recipe), ("tokenizer", tokenizer)):
            if self.manifest.get(name) != expected:
                raise SettingError("data", str(self.path), f"data with {name} {expected}, not {self.manifest.get(name)}")

    def write(self) -> None:
        """The manifest, at once or not at all."""
        write_whole(self.path / MANIFEST, json.dumps(self.manifest, indent=1))

    def shards(self, stage: str) -> list[dict[str, Any]]:
        """Of a stage, by their first step."""
        shards: list[dict[str, Any]] = self.manifest["stages"].get(stage, {}).get("shards", [])
        return shards

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(int(shard["bytes"]) for stage in self.manifest["stages"] for shard in self.shards(stage))

    def add(self, stage: str, shard: dict[str, Any], data: bytes) -> None:
        """Write a shard that `encode` made."""
        file = self.path / shard["file"]
        with storage_errors(file):
            new = file.with_suffix(".new")
            new.write_bytes(data)
            new.replace(file)
        shards = self.shards(stage)
        shards.append(shard)
        shards.sort(key=lambda each: int(each["first"]))
        self.write()

    def drop_damaged(self) -> list[str]:
        """Forget the shards that are not there or are damaged; their names."""
        dropped = []
        for stage in self.manifest["stages"].values():
            sound = [shard for shard in stage["shards"] if self._is_sound(shard)]
            dropped += [shard["file"] for shard in stage["shards"] if shard not in sound]
            stage["shards"] = sound
        return dropped

    def _is_sound(self, shard: Mapping[str, Any]) -> bool:
        file = self.path / Path(shard["file"]).name
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == shard["sha256"]

    def load(self, shard: Mapping[str, Any]) -> list[StepData]:
        """The steps of a shard. Raises StorageError if it is damaged."""
        file = self.path / Path(shard["file"]).name
        try:
            data = file.read_bytes()
        except OSError as error:
            raise StorageError(f"{file} cannot be read ({error}); run recipes.ahead again") from error
        if hashlib.sha256(data).hexdigest() != shard["sha256"]:
            raise StorageError(f"{file} is damaged: its digest is not the manifest's; run recipes.ahead again")
        return unpack(decompress(data, int(shard["unpacked"])))

    def source(self, stage: str, settings: Any, drawn: Source) -> Source:
        """What the steps of a stage read, from the folder or else from `drawn`.

        Raises:
            SettingError: If the folder has the stage with other settings.
        """
        found = self.manifest["stages"].get(stage, {}).get("settings")
        for name, expected in data_settings(settings).items() if found is not None else ():
            if found.get(name) != expected:
                raise SettingError("data", str(self.path), f"{stage} with {name}={expected}, not {found.get(name)}")
        return FolderSource(self, stage, drawn)


class FolderSource:
    """Number of a step -> what it reads, from a folder; what that lacks is drawn."""

    def __init__(self, folder: DataFolder, stage: str, drawn: Source) -> None:
        self.folder, self.stage, self.drawn = folder, stage, drawn
        self._first, self._steps = 0, list[StepData]()
        self._told = False

    def __call__(self, number: int) -> StepData:
        """What step `number` reads. Raises StorageError if its shard is damaged."""
        if not self._first <= number < self._first + len(self._steps):
            shard = self._find(number)
            if shard is None:
                if not self._told:
                    print(f"{self.stage}: {self.folder.path} has no step {number}; it is drawn now", flush=True)
                self._told = True
                return self.drawn(number)
            self._first, self._steps = int(shard["first"]), self.folder.load(shard)
        return self._steps[number - self._first].copy()

    def _find(self, number: int) -> dict[str, Any] | None:
        """The shard of a step, waiting for it as long as there is patience."""
        ends = time.monotonic() + self.folder.patience
        while True:
            for shard in self.folder.shards(self.stage):
                if int(shard["first"]) <= number < int(shard["last"]):
                    return shard
            if time.monotonic() >= ends:
                self.folder.patience = 0.0
                return None
            time.sleep(POLL_SECONDS)
            self.folder.read()


def encode(stage: str, first: int, steps: Iterable[StepData]) -> tuple[dict[str, Any], bytes]:
    """Steps from `first` on as a shard: its line of the manifest, and its file."""
    made = list(steps)
    unpacked = pack(made)
    data = compress(unpacked)
    return {
        "file": f"{stage}-{first:06d}.safetensors.xz",
        "first": first,
        "last": first + len(made),
        "tokens": sum(step.tokens for step in made),
        "bytes": len(data),
        "unpacked": len(unpacked),
        "sha256": hashlib.sha256(data).hexdigest(),
    }, data
