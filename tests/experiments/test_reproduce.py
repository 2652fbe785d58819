"""`seal-env reproduce`: tables that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from seal_env.agents.evaluation import by_task, read_samples
from seal_env.agents.search.budget import SearchBudget
from seal_env.agents.search.per_task import search_tasks
from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.reproduce.presets import TABLES, Preset, Row
from seal_env.experiments.reproduce.table import Measured, Reproduction, compare, metric_means
from seal_env.journal import Journal
from seal_env.settings import Settings

SMALL = Preset(
    "for a test",
    "mini-train:2",
    "mini-eval:2",
    "SEAL-ARC-v0",
    {"max_examples": 4},
    RestEmSettings(rounds=1, samples=2, eval_samples=1, sft_epochs=1),
    GrpoSettings(steps=1, prompts=1, samples=2, eval_samples=1),
    SearchBudget(trials=2, width=2, finalists=2, repeats=1, fresh=1),
    {"max_new_tokens": 72},
)

MIX = {"mix": ("rewrite", "self-qa")}


def test_a_search_of_many_tasks_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: list[int], cut: Callable[[Path, int], None]
) -> None:
    monkeypatch.setattr("seal_env.agents.search.per_task.TOGETHER", 1)
    runtime = ExperimentConfig("SEAL-ARC-v0", {"subset": "mini-eval:3", "max_examples": 4}, {}, tmp_path).runtime()
    runtime.load()
    budget, space = SearchBudget(trials=2, width=2, finalists=2, repeats=1, fresh=1), SealEnv(runtime=runtime).action_space
    told: list[int] = []
    whole = search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found"), told.append)
    assert [found.task_id for found in whole] == list(runtime.taskset.task_ids)
    assert (budget.episodes, told[0], told[-1]) == (5, 0, 15)
    assert told == sorted(told)
    assert {2, 7, 12} < set(told), "each call of the inner loop is told of"
    cut(tmp_path / "found", 2)
    assert search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found")) == whole
    updates.clear()
    assert search_tasks(runtime, space, budget, 0, Journal(tmp_path / "found")) == whole
    assert updates == []


def reproduce(folder: Path, *rows: str, seeds: int = 2) -> dict[str, Any]:
    with (folder.parent / "said").open("a") as said:
        return Reproduction(
            SMALL, seeds, rows, ExperimentConfig("SEAL-ARC-v0", {}, {}, folder), Console(file=said, width=160)
        ).run()


@pytest.mark.slow
def test_the_table_is_put_together_and_not_measured_twice(tmp_path: Path, updates: list[int]) -> None:
    table = reproduce(tmp_path / "table", "none", "untrained", "rest-em", "search")
    assert list(table["rows"]) == ["none", "untrained", "rest-em", "search"]
    assert all(len(row["by_seed"]) == 2 for row in table["rows"].values())
    assert table["rows"]["untrained"]["above_untrained"] is None
    assert table["rows"]["none"]["above_untrained"] is not None
    rest_em = json.loads((tmp_path / "table/seed-1/rest-em/result.json").read_text())
    assert table["rows"]["untrained"]["by_seed"][1] == pytest.approx(rest_em["held_out"][0]["accuracy"]["mean"])
    assert "self-edits after ReST-EM" in (tmp_path / "said").read_text()
    updates.clear()
    again = reproduce(tmp_path / "table", "none", "untrained", "rest-em", "search")
    assert updates == []
    assert again["rows"] == table["rows"]


@pytest.mark.slow
def test_grpo_is_a_row_and_measures_the_same_untrained_policy(tmp_path: Path) -> None:
    table = reproduce(tmp_path / "table", "untrained", "grpo", "rest-em", seeds=1)
    folder = tmp_path / "table/seed-0"
    before, untrained = (
        [
            [sample[name] for name in ("action", "accuracy")]
            for record in Journal(path).read()
            for sample in record["samples"]
        ]
        for path in (folder / "grpo/before/held-out.jsonl", folder / "rest-em/round-0/held-out.jsonl")
    )
    assert before == untrained
    assert set(table["rows"]) == {"untrained", "grpo", "rest-em"}


def test_grpo_of_a_constrained_policy_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    config = ExperimentConfig("SEAL-ARC-v0", {}, {"constrained": True}, tmp_path)
    with pytest.raises(SettingError, match=r"constrained=True.*False where 'grpo' is a row"):
        Reproduction(SMALL, 1, None, config, Console(quiet=True))
    assert Reproduction(SMALL, 1, ("untrained", "rest-em"), config, Console(quiet=True)).rows == ["untrained", "rest-em"]


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in TABLES for name in TABLES[table].presets])
def test_the_rows_of_a_preset_go_with_its_policy(table: str, name: str) -> None:
    preset = TABLES[table].presets[name]
    assert not (preset.policy.get("constrained") and "grpo" in preset.rows)


def test_rows_are_compared_task_by_task() -> None:
    untrained = [{"a": 0.0, "b": 1.0}, {"a": 0.5, "b": 0.5}]
    rows = compare(
        {"untrained": untrained, "search": [{"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 1.0}], "none": [{"a": 0.0}] * 2}
    )
    assert rows["untrained"]["accuracy"]["mean"] == 0.5
    assert rows["search"]["above_untrained"]["mean"] == pytest.approx(0.375)
    assert rows["search"]["by_seed"] == [1.0, 0.75]
    assert rows["none"]["above_untrained"]["mean"] == pytest.approx(-0.25)  # task b, which has no value, is left out
    assert rows["none"]["above_untrained"]["low"] is None  # a single task tells no interval


def test_a_row_may_have_options_of_its_agent(tmp_path: Path) -> None:
    longer = TABLES["knowledge"].presets["synthetic"].rows["passage-longer"]
    rows = {"passage": Row("short", "passage_only"), "longer": longer}
    preset = replace(TABLES["knowledge"].presets["synthetic"], held_out="synthetic-eval:1", rows=rows)
    config = ExperimentConfig(preset.env, {}, {}, tmp_path)
    table = Reproduction(preset, 1, None, config, Console(quiet=True)).run()
    steps = [Journal(tmp_path / f"seed-0/{row}/samples.jsonl").read()[0]["samples"][0]["steps"] for row in rows]
    assert steps == [3, 12]
    assert table["rows"]["longer"]["accuracy"]["mean"] > table["rows"]["passage"]["accuracy"]["mean"]


def test_rows_may_choose_among_self_edits_and_among_templates(tmp_path: Path) -> None:
    short = {"max_new_tokens": 12}
    rows = {
        "best-of": Row("best", "local_hf", short, best_of=2),
        "template": Row("template", "local_hf", short, templates={"none": {"max_new_tokens": 1}, "mix": short | MIX}),
    }
    preset = replace(
        TABLES["knowledge"].presets["mixed"], train_set="synthetic-train:1", held_out="synthetic-eval:2", rows=rows
    )
    config = ExperimentConfig(preset.env, {"default_num_epochs": 1}, {}, tmp_path)
    table = Reproduction(preset, 1, None, config, Console(quiet=True)).run()
    folder = tmp_path / "seed-0"
    sampled = read_samples(Journal(folder / "best-of/sampled/samples.jsonl"))
    again = read_samples(Journal(folder / "best-of/fresh/samples.jsonl"))
    best = {task: max(mine, key=lambda each: each.reward) for task, mine in by_task(sampled).items()}
    assert [each.action for each in again] == [each.action for each in best.values()]
    chosen = json.loads((folder / "template/templates.json").read_text())
    assert chosen["rewards"].keys() == {"none", "mix"}
    held_out = read_samples(Journal(folder / "template/held-out/samples.jsonl"))
    assert len(held_out) == 2
    assert ("\n---\n" in held_out[0].action) == (chosen["chosen"] == "mix")
    assert table["rows"]["template"]["steps"] == np.mean([each.steps for each in held_out])


def test_a_row_that_chooses_among_templates_does_not_choose_on_held_out_tasks(tmp_path: Path) -> None:
    rows = {"template": Row("template", "local_hf", templates={"mix": MIX})}
    preset = replace(TABLES["knowledge"].presets["mixed"], train_set="synthetic-eval:1", rows=rows)
    with pytest.raises(SettingError, match="held_out"):
        Reproduction(preset, 1, None, ExperimentConfig(preset.env, {}, {}, tmp_path), Console(quiet=True))


def test_published_self_edits_are_a_row_where_the_tasks_have_some(tmp_path: Path, tiny_models: dict[str, str]) -> None:
    rows = [
        {
            "title": name,
            "context": f"{name} is a village.",
            "questions": [{"question": f"What is {name}?", "answer": "a village"}],
        }
        for name in ("Orvel", "Tamik", "Zemu")
    ]
    for name, extra in (("plain", {}), ("published", {"self_edit": "It is small.\nIt is old."})):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row | extra) for row in rows))
    config = ExperimentConfig(
        "SEAL-Knowledge-v0", {"model": tiny_models["llama"], "default_num_epochs": 1}, {}, tmp_path / "out"
    )
    plain, with_texts = (
        replace(
            TABLES["real"].presets["passages"],
            train_set=f"{tmp_path}/{name}.jsonl:1",
            held_out=f"{tmp_path}/{name}.jsonl:2-3",
        )
        for name in ("plain", "published")
    )
    assert "published" not in Reproduction(plain, 1, None, config, Console(quiet=True)).rows
    with pytest.raises(SettingError, match=r"replay_file=None.*plain.jsonl:2-3"):
        Reproduction(plain, 1, ("published",), config, Console(quiet=True))
    assert Reproduction(with_texts, 1, None, config, Console(quiet=True)).rows[-1] == "published"
    table = Reproduction(with_texts, 1, ("none", "published"), config, Console(quiet=True)).run()
    steps = [Journal(tmp_path / f"out/seed-0/{row}/samples.jsonl").read()[0]["samples"][1]["steps"] for row in table["rows"]]
    assert steps == [0, 3]  # the two lines and the passage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tasks", "style"), [("passages", "synthetic", "facts"), ("few-shot", "word-classes", "tools")]
)
def test_a_model_writes_its_own_self_edits_and_learns_to(
    name: str, tasks: str, style: str, tmp_path: Path, tiny_models: dict[str, str]
) -> None:
    found = TABLES["real"].presets[name]
    small = RestEmSettings(rounds=1, samples=2, keep="best", eval_samples=1, sft_epochs=1)
    preset = replace(found, train_set=f"{tasks}-train:1", held_out=f"{tasks}-eval:1", rest_em=small)
    overrides = {"model": tiny_models["llama"], "max_examples": 2}
    config = ExperimentConfig(found.env, overrides, {"max_new_tokens": 72}, tmp_path / "out")
    Reproduction(preset, 1, ("none", "untrained"), config, Console(quiet=True)).run()
    untrained = (tmp_path / "out/seed-0/rest-em/round-0/held-out.jsonl").read_bytes()
    table = Reproduction(preset, 1, ("none", "untrained", "rest-em"), config, Console(quiet=True)).run()
    assert list(table["rows"]) == ["none", "untrained", "rest-em"]
    assert (tmp_path / "out/seed-0/rest-em/round-0/held-out.jsonl").read_bytes() == untrained
    assert f'style = "{style}"' in (tmp_path / "out/seed-0/rest-em/settings.toml").read_text()
    assert table["rows"]["untrained"]["by_seed"] == [0.0]  # a model of random weights knows nothing afterwards either


def test_the_untrained_policy_is_measured_without_training(tmp_path: Path, tiny_models: dict[str, str]) -> None:
    preset = replace(TABLES["real"].presets["passages"], train_set="synthetic-train:1", held_out="synthetic-eval:1")
    overrides = {"model": tiny_models["llama"], "max_examples": 2}
    config = ExperimentConfig(preset.env, overrides, {"max_new_tokens": 8}, tmp_path)
    table = Reproduction(preset, 1, ("none", "untrained"), config, Console(quiet=True)).run()
    assert list(table["rows"]) == ["none", "untrained"]
    assert [path.name for path in sorted((tmp_path / "seed-0").glob("*/round-*"))] == ["round-0"]
    assert not (tmp_path / "seed-0/rest-em/finished").exists()


def test_few_shot_tasks_have_rows_that_train_alike_for_every_task(tmp_path: Path, tiny_models: dict[str, str]) -> None:
    preset = replace(TABLES["real"].presets["few-shot"], held_out="word-classes-eval:2")
    config = ExperimentConfig(preset.env, {"model": tiny_models["llama"]}, {}, tmp_path)
    table = Reproduction(preset, 1, ("none", "default", "grid"), config, Console(quiet=True)).run()
    samples = [Journal(tmp_path / f"seed-0/{row}/samples.jsonl").read()[0]["samples"] for row in table["rows"]]
    assert [[each["steps"] for each in mine] for mine in samples] == [[0, 0], [10, 10], [12, 12]]


def test_further_measures_are_means_over_seeds_and_tasks() -> None:
    seeds = [
        Measured({}, {"word_f1": {"a": 0.0, "b": 1.0}, "answer_words": {}}),
        Measured({}, {"word_f1": {"a": 0.5}, "answer_words": {}}),
    ]
    found = metric_means(seeds)
    assert found["word_f1"]["mean"] == 0.25  # task b is known for one seed only
    assert "answer_words" not in found


@pytest.mark.parametrize(("seeds", "rows", "field"), [(0, ("none",), "seeds=0"), (1, ("all",), "rows='all'")])
def test_a_table_that_cannot_be_is_refused(tmp_path: Path, seeds: int, rows: tuple[str, ...], field: str) -> None:
    with pytest.raises(SettingError, match=field):
        reproduce(tmp_path / "table", *rows, seeds=seeds)


@pytest.mark.parametrize("name", TABLES)
def test_settings_of_presets_are_legal(name: str) -> None:
    for preset in TABLES[name].presets.values():
        assert Settings.resolve(**preset.environment | {"subset": preset.held_out}).subset == preset.held_out
        assert json.loads(json.dumps(preset.record()))["held_out"] == preset.held_out
