"""Data made ahead: the same that training would draw, in files that resume, are bounded, and tell when they are damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from recipes import ahead, seal_tiny, seal_tiny_text
from recipes.adapt import SIMPLE, Adaptation, AdaptSettings
from recipes.data_folder import DataFolder, FolderSource
from recipes.pretrain import PretrainSettings
from recipes.recipe import Recipe
from recipes.self_edit_data import EpisodeSettings
from recipes.sizes import LARGE, SHAPE
from recipes.stage import TrainSettings, build_model
from recipes.step_data import StepData
from recipes.stream import StreamSettings
from recipes.text_adapt import TextAdaptSettings, TextEpisodeSettings
from recipes.text_pretrain import ReadSettings
from recipes.text_stream import TextStreamSettings
from seal_env.errors import SettingError, StorageError

OPTIMIZER = TrainSettings(steps=6, warmup=2, width=32, layers=1, heads=2, inner_width=32)
PLAIN = PretrainSettings(OPTIMIZER, StreamSettings(tasks=2, max_tokens=200, small_steps=2, wide_from=4))
ADAPT = AdaptSettings(
    tasks=3,
    accumulate=2,
    self_edits=1,
    self_edit_every=3,
    optimizer=replace(OPTIMIZER, data_steps=4),
    episodes=EpisodeSettings(max_examples=6, queries=1, epochs=(1, 2), families=SIMPLE),
    stream=PLAIN.stream,
)
TEXTS = TextStreamSettings(reading=1, replies=1, documents=1, copies=1, lists=1, questions=2)
TEXT_STAGES = {
    "read": ReadSettings(OPTIMIZER, TEXTS),
    "adapt": TextAdaptSettings(tasks=2, optimizer=OPTIMIZER, episodes=TextEpisodeSettings(max_steps=4), stream=TEXTS),
}
RECIPES = {
    "grids": replace(
        seal_tiny.RECIPE, name="grids", sizes={"few": {"pretrain": PLAIN, "adapt": replace(ADAPT, synchronous=True)}}
    ),
    "episodes that go on": replace(seal_tiny.RECIPE, name="episodes that go on", sizes={"few": {"adapt": ADAPT}}),
    "text": replace(seal_tiny_text.RECIPE, name="text", sizes={"few": TEXT_STAGES}),
}
PLENTY = 2**20


class Made(NamedTuple):
    """A recipe's data."""

    recipe: Recipe
    folder: Path


@pytest.fixture(scope="module", autouse=True)
def _small_recipes() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "SHARD_TOKENS", 1200)
        for name, recipe in RECIPES.items():
            patch.setitem(ahead.RECIPES, name, recipe)
        yield


@pytest.fixture(scope="module", params=RECIPES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    recipe, folder = RECIPES[request.param], tmp_path_factory.mktemp("data")
    assert ahead.make_ahead(folder, recipe, "few", 1, PLENTY)
    return Made(recipe, folder)


@pytest.fixture
def pretraining(tmp_path: Path) -> Made:
    """Data of a recipe with one stage, in several shards."""
    recipe = RECIPES["grids"]
    recipe = replace(recipe, name="pretraining", sizes={"few": {"pretrain": PLAIN}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ahead.RECIPES, recipe.name, recipe)
        patch.setattr(ahead, "SHARD_TOKENS", 1)
        assert ahead.make_ahead(tmp_path, recipe, "few", 1, PLENTY)
    return Made(recipe, tmp_path)


def not_drawn(number: int) -> StepData:
    raise AssertionError(f"step {number} is not in the folder")


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_training_from_the_folder_reads_what_it_would_draw(made: Made) -> None:
    folder, tokenizer = DataFolder(made.folder), made.recipe.tokenizer()
    for stage, settings in made.recipe.sizes["few"].items():
        drawn, read = made.recipe.make_source(tokenizer, settings), folder.source(stage, settings, not_drawn)
        steps = settings.optimizer.data_steps or settings.optimizer.steps
        assert len(folder.shards(stage)) >= 2
        assert [read(number) for number in range(steps)] == [drawn(number) for number in range(steps)]


def test_a_folder_made_in_several_runs_is_the_same(made: Made, tmp_path: Path) -> None:
    runs = [ahead.make_ahead(tmp_path, made.recipe, "few", 1, limit) for limit in (1000, 2500, PLENTY)]
    assert runs == [False, False, True]
    assert manifest(tmp_path) == manifest(made.folder)


def test_the_manifest_tells_settings_seeds_and_digests(made: Made) -> None:
    for stage, described in manifest(made.folder)["stages"].items():
        settings = made.recipe.sizes["few"][stage]
        assert described["settings"]["stream"]["seed"] == settings.stream.seed
        assert described["seed"] == getattr(settings, "seed", settings.stream.seed)
        for shard in described["shards"]:
            assert len(shard["sha256"]) == 64
            assert (made.folder / shard["file"]).stat().st_size == shard["bytes"]


@pytest.mark.parametrize("limit", [0, 1, 700, 2000])
def test_shards_are_no_larger_than_allowed(tmp_path: Path, limit: int) -> None:
    assert not ahead.make_ahead(tmp_path, RECIPES["grids"], "few", 1, limit)
    assert sum(file.stat().st_size for file in tmp_path.glob("*.xz")) <= limit


def test_an_episode_that_is_read_again_has_not_begun(made: Made) -> None:
    stage, settings = list(made.recipe.sizes["few"].items())[-1]
    read = DataFolder(made.folder).source(stage, settings, not_drawn)
    read(0).starts[0][0].episode.step = 1
    assert read(0).starts[0][0].episode.step == 0


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_shard_is_named_and_made_again(pretraining: Made, harm: str) -> None:
    file = pretraining.folder / manifest(pretraining.folder)["stages"]["pretrain"]["shards"][0]["file"]
    before = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(before[:-1] + (b"" if harm == "cut" else b"?"))
    source = DataFolder(pretraining.folder).source("pretrain", PLAIN, not_drawn)
    with pytest.raises(StorageError, match=file.name):
        source(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ahead.RECIPES, "pretraining", pretraining.recipe)
        assert ahead.make_ahead(pretraining.folder, pretraining.recipe, "few", 1, PLENTY)
    assert file.read_bytes() == before
    assert source(0).tokens > 100


def test_what_the_folder_lacks_is_drawn(pretraining: Made, capsys: pytest.CaptureFixture[str]) -> None:
    document = manifest(pretraining.folder)
    del document["stages"]["pretrain"]["shards"][1]
    (pretraining.folder / "manifest.json").write_text(json.dumps(document))
    drawn = pretraining.recipe.make_source(pretraining.recipe.tokenizer(), PLAIN)
    source = FolderSource(DataFolder(pretraining.folder), "pretrain", drawn)
    assert [source(number) for number in range(4)] == [drawn(number) for number in range(4)]
    assert "has no step 1; it is drawn now" in capsys.readouterr().out


def test_training_waits_for_a_shard_that_is_being_made(pretraining: Made) -> None:
    file = pretraining.folder / "manifest.json"
    whole = file.read_text()
    document = json.loads(whole)
    document["stages"]["pretrain"]["shards"].clear()
    file.write_text(json.dumps(document))
    source = FolderSource(DataFolder(pretraining.folder, patience=20), "pretrain", not_drawn)
    file.write_text(whole)
    assert source(2).tokens > 100


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("other", PLAIN, "data with recipe other"),
        ("pretraining", replace(PLAIN, stream=replace(PLAIN.stream, seed=99)), "pretrain with stream"),
    ],
)
def test_data_of_another_recipe_are_refused(
    pretraining: Made, recipe: str, settings: Any, message: str, tmp_path: Path
) -> None:
    other = replace(pretraining.recipe, name=recipe)
    with pytest.raises(SettingError, match=message):
        other.make(tmp_path / "out", {"pretrain": settings}, "cpu", data=DataFolder(pretraining.folder))


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 2, "stages": {}}', '{"format": 1, "stages": []}'])
def test_a_folder_without_a_manifest_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SettingError, match="data="):
        DataFolder(tmp_path)


def test_training_from_the_folder_ends_with_the_same_weights(made: Made, tmp_path: Path) -> None:
    stages = made.recipe.sizes["few"]
    made.recipe.make(tmp_path / "drawn", stages, "cpu", size="few")
    folder = DataFolder(made.folder)
    made.recipe.make(tmp_path / "read", stages, "cpu", size="few", data=folder)
    first, second = (load_file(tmp_path / run / f"{made.recipe.name}-few/model.safetensors") for run in ("drawn", "read"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_large_size_has_about_eight_million_parameters() -> None:
    model = build_model(seal_tiny.RECIPE.tokenizer(), SHAPE)
    assert 7_500_000 < sum(parameter.numel() for parameter in model.parameters()) <= 8_000_000
    assert {(each.optimizer.width, each.optimizer.layers) for each in LARGE.values()} == {(256, 8)}
    assert sum(each.optimizer.time_share for each in LARGE.values()) == pytest.approx(1.0)


def test_synchronous_episodes_begin_and_end_within_a_step() -> None:
    settings = replace(ADAPT, synchronous=True)
    tokenizer = seal_tiny.RECIPE.tokenizer()
    state = Adaptation(build_model(tokenizer, settings.optimizer), int(tokenizer.pad_token_id), settings)
    source = seal_tiny.RECIPE.make_source(tokenizer, settings)
    for number in (3, 1):
        prepared = state.prepare(source(number))
        assert [episode is not None and episode.done for episode in state.episodes] == [True] * settings.tasks
        asked = [task for step in prepared.adapter_steps for each in step.ask for task in each.tasks.tolist()]
        assert sorted(asked) == list(range(settings.tasks))
        losses, tokens = state.step(prepared)
        assert (float(losses["late"]) > 0, tokens) == (True, source(number).tokens)
