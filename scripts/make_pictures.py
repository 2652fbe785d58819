"""Draw the pictures of docs/images, each of a real episode.

python scripts/make_pictures.py [NAME ...]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gymnasium
from PIL import Image

import seal_env  # noqa: F401 - registers the environments
from seal_env.envs.frames import frame
from seal_env.panels import Panel

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
SIZE: Final = (960, 540)
COLOURS: Final = 256
MILLISECONDS: Final = 3500


def _calls(**tools: Mapping[str, Any]) -> str:
    return json.dumps(
        [{"name": name, "arguments": dict(arguments)} for name, arguments in {**tools, "finetune": {}}.items()]
    )


def _augment(*chosen: str) -> dict[str, bool]:
    return {f"use_{name}_augmentations": name in chosen for name in ("basic", "size", "chain", "repeat")}


@dataclass(frozen=True)
class Picture:
    """An episode: environment, task (None is the first), and the self-edit (None is each passage, a sentence a line)."""

    environment: str
    task_id: str | None
    self_edit: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


ALL_SYMMETRIES: Final = _calls(
    augment=_augment("basic"),
    training={"strategy": "train_using_output_tokens", "learning_rate": 1e-3, "num_train_epochs": 2},
)
PICTURES: Final = {
    "arc": Picture("SEAL-ARC-v0", "5614dbcf", ALL_SYMMETRIES),
    "arc-mini": Picture("SEAL-ARC-Mini-v0", "mini-train-0-2", ALL_SYMMETRIES),
    "knowledge": Picture("SEAL-Knowledge-v0", "synthetic-eval-0-82", settings={"subset": "synthetic-eval"}),
    "continual": Picture("SEAL-Continual-v0", None, settings={"sequence": 3}),
}


def written(action: str) -> str:
    """A self-edit as it is shown: one call a line, or the text as it is."""
    if not action.startswith("["):
        return action
    return "\n".join(json.dumps(call) for call in json.loads(action))


def frames(picture: Picture) -> Iterator[Image.Image]:
    """For each task of the episode: the task, the self-edit, and the answers before and after the update."""
    env = gymnasium.make(picture.environment, render_mode="rgb_array", **picture.settings)
    _, info = env.reset(seed=0, options={"task_id": picture.task_id} if picture.task_id else None)
    over = False
    while not over:
        yield _drawn(env.render())
        action = picture.self_edit or info["task"]["data"]["text"].replace(". ", ".\n")
        yield _drawn(frame([[Panel("self-edit", written(action))]], str(info["task_id"])))
        _, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    yield _drawn(env.render())
    env.close()


def _drawn(array: Any) -> Image.Image:
    return Image.fromarray(array).resize(SIZE, Image.Resampling.LANCZOS).quantize(COLOURS)


def main(names: list[str]) -> None:
    """Draw the pictures of these names, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        first, *others = frames(PICTURES[name])
        path = FOLDER / f"{name}.gif"
        first.save(path, save_all=True, append_images=others, duration=MILLISECONDS, loop=0, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
