"""Make the data of a recipe ahead of training, with all CPU cores: `python -m recipes.ahead seal-tiny --out FOLDER`.

`python -m recipes.seal_tiny --data FOLDER` then reads the same tokens as without it. Rerun the same command to resume; it
may run while training reads what is there. The folder holds `manifest.json` (settings, seeds, and a digest of each shard)
and the shards (`recipes.shard`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from recipes import seal_tiny, seal_tiny_text
from recipes.adapt import AdaptSettings
from recipes.adapt_source import AdaptSource
from recipes.cpus import cpus
from recipes.data_folder import FORMAT, MANIFEST, DataFolder, data_settings, data_steps, encode
from recipes.recipe import BUNDLED, Recipe, digest
from recipes.step_data import Source
from seal_env.errors import SettingError
from seal_env.experiments.folder_lock import hold
from seal_env.journal import write_whole

RECIPES: Final = {recipe.name: recipe for recipe in (seal_tiny.RECIPE, seal_tiny_text.RECIPE)}
SHARD_TOKENS: Final = 1_000_000
MIB: Final = 2**20
Made = tuple[dict[str, Any], bytes]
"""A shard's line of the manifest, and its file."""


@dataclass(frozen=True)
class Order:
    """A shard to be made. left_S: of episodes in progress at its beginning, see AdaptSource."""

    recipe: str
    size: str
    stage: str
    first: int
    last: int
    left_S: list[int] | None = None


@cache
def _source(recipe: str, size: str, stage: str) -> Source:
    return RECIPES[recipe].make_source(_tokenizer(recipe), RECIPES[recipe].sizes[size][stage])


@cache
def _tokenizer(recipe: str) -> Any:
    return RECIPES[recipe].tokenizer()


def make_shard(order: Order) -> Made:
    """Draw its steps; in any process."""
    source = _source(order.recipe, order.size, order.stage)
    if isinstance(source, AdaptSource) and order.left_S is not None:
        source.resume(order.first, order.left_S)
    shard, data = encode(order.stage, order.first, (source(number) for number in range(order.first, order.last)))
    if isinstance(source, AdaptSource) and not source.settings.synchronous:
        shard["left_S"] = list(source.left_S)
    return shard, data


def open_folder(path: Path, recipe: Recipe, size: str) -> DataFolder:
    """The folder, or a new one. Raises SettingError if it is another recipe's, or has other settings."""
    known = {"recipe": recipe.name, "size": size, "tokenizer": digest(_tokenizer(recipe.name))}
    if not (path / MANIFEST).exists():
        stages = {}
        for stage, settings in recipe.sizes[size].items():
            tokens = _source(recipe.name, size, stage)(0).tokens
            stages[stage] = {
                "settings": data_settings(settings),
                "seed": getattr(settings, "seed", settings.stream.seed),
                "steps": data_steps(settings),
                "steps_of_a_shard": max(1, min(data_steps(settings), SHARD_TOKENS // tokens)),
                "shards": [],
            }
        manifest = {"format": FORMAT, **known, "stages": stages}
        write_whole(path / MANIFEST, json.dumps(manifest, indent=1))
    folder = DataFolder(path)
    folder.check(recipe.name, known["tokenizer"])
    if folder.manifest["size"] != size:
        raise SettingError("size", size, f"{folder.manifest['size']}, which {path} holds")
    for stage, settings in recipe.sizes[size].items():
        folder.source(stage, settings, _source(recipe.name, size, stage))
    return folder


def next_order(folder: DataFolder, recipe: Recipe, size: str, running: Collection[Order]) -> Order | None:
    """The first shard that is neither there nor being made; None if there is none that can begin now."""
    for stage, described in folder.manifest["stages"].items():
        settings, count, steps = recipe.sizes[size][stage], described["steps_of_a_shard"], described["steps"]
        goes_on = isinstance(settings, AdaptSettings) and not settings.synchronous
        left_S: list[int] | None = None
        made = {shard["first"]: shard for shard in folder.shards(stage)}
        begun = {order.first for order in running if order.stage == stage}
        for first in range(0, steps, count):
            if first not in made and first not in begun:
                return Order(recipe.name, size, stage, first, min(first + count, steps), left_S)
            if goes_on and first not in made:
                break
            left_S = made[first].get("left_S") if goes_on else None
    return None


def make_ahead(path: Path, recipe: Recipe, size: str, processes: int, max_bytes: int) -> bool:
    """Make what a folder lacks, at most `max_bytes` of shards in all; whether it lacks nothing any more."""
    path.mkdir(parents=True, exist_ok=True)
    with hold(path):
        folder = open_folder(path, recipe, size)
        for name in folder.drop_damaged():
            print(f"{name} is missing or damaged; it is made again", flush=True)
        with _workers(processes) as workers:
            return _fill(folder, recipe, size, workers, processes, max_bytes)


def _workers(processes: int) -> Executor:
    if processes == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _fill(folder: DataFolder, recipe: Recipe, size: str, workers: Executor, processes: int, max_bytes: int) -> bool:
    began, tokens, largest, full = time.perf_counter(), 0, 0, False
    running: dict[Future[Made], Order] = {}
    while True:
        while not full and len(running) < processes:
            if folder.size + largest * (len(running) + 1) > max_bytes:
                full = True
            elif (order := next_order(folder, recipe, size, running.values())) is None:
                break
            else:
                running[workers.submit(make_shard, order)] = order
        if not running:
            return next_order(folder, recipe, size, ()) is None
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            order, (shard, data) = running.pop(future), future.result()
            largest, tokens = max(largest, len(data)), tokens + shard["tokens"]
            if folder.size + len(data) > max_bytes:
                full = True
                continue
            folder.add(order.stage, shard, data)
            pace = tokens / (time.perf_counter() - began)
            print(
                f"{order.stage} {order.first}-{order.last - 1}: {shard['tokens'] / 1e6:.2f} M tokens, "
                f"{len(data) / shard['tokens']:.3f} bytes a token; {folder.size / MIB:.1f} MiB, {pace:,.0f} tokens/s",
                flush=True,
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="the folder")
    parser.add_argument("--size", default=BUNDLED, help="bundled, or another size of the recipe")
    parser.add_argument("--processes", type=int, default=cpus(), help="all CPUs unless given")
    parser.add_argument("--max-mib", type=float, default=50, help="of all shards; what lacks then is drawn in training")
    given = parser.parse_args()
    recipe = RECIPES[given.recipe]
    if given.size not in recipe.sizes:
        parser.error(f"--size {given.size}: expected one of {', '.join(recipe.sizes)}")
    if given.processes < 1 or given.max_mib <= 0:
        parser.error("--processes and --max-mib: expected numbers above 0")
    complete = make_ahead(given.out, recipe, given.size, given.processes, int(given.max_mib * MIB))
    print(f"{given.out} {'is complete' if complete else f'has reached {given.max_mib:g} MiB'}")


if __name__ == "__main__":
    main()
