"""The standard suite: frozen files, what may not be chosen, a small suite measured, and which entries are refused."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.make_leaderboard import add, base_model, page
from seal_env.cli import main
from seal_env.errors import SettingError, TaskError
from seal_env.experiments.suite import definition, entry, measure
from seal_env.experiments.suite.definition import NOT_FROZEN, Part, Suite, load_suite, suite_names, task_digest
from seal_env.experiments.suite.entry import check_entry, schema
from seal_env.settings import Settings
from tests.helpers.cli import Call

PARTS = [(name, part) for name in suite_names() for part in load_suite(name).parts]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_fixes_every_setting_and_its_tasks_are_those_that_were_frozen(name: str, part: str) -> None:
    frozen = load_suite(name).parts[part]
    used = Settings.resolve(**frozen.environment({}))
    frozen.check_tasks(used)
    fixed = {key: value for key, value in frozen.settings.items() if key != "subset"}
    assert {key: value for key, value in used.flat().items() if key in fixed} == fixed
    assert not NOT_FROZEN & fixed.keys()
    assert Settings.resolve(**frozen.environment({"model": "other/model"})).lora_rank >= used.lora_rank


def test_a_suite_that_was_edited_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = json.loads((definition.HERE / "v1.json").read_text())
    data["parts"]["arc"]["samples"] += 1
    (tmp_path / "v1.json").write_text(json.dumps(data))
    monkeypatch.setattr(definition, "HERE", tmp_path)
    with pytest.raises(TaskError, match=r"v1\.json was edited"):
        load_suite.__wrapped__("v1")


def test_another_task_has_another_digest_and_is_refused() -> None:
    part = load_suite("v1").parts["knowledge"]
    used = Settings.resolve(**part.environment({}))
    domain, tasks = used.spec.make(used.options, None), list(used.spec.load(used.subset, used.options))[:2]
    assert task_digest(tasks[0], domain) != task_digest(tasks[1], domain)
    first = next(iter(part.tasks))
    with pytest.raises(TaskError, match=f"'{first}' is not the one"):
        part.model_copy(update={"tasks": {**part.tasks, first: "0" * 16}}).check_tasks(used)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--samples", "3"), "samples=3 is not legal; expected nothing: suite='v1' fixes what is measured"),
        (("--max-examples", "4"), "max_examples=4 is not legal; expected nothing: suite='v1'"),
        (("--env", "SEAL-ARC-v0"), "env='SEAL-ARC-v0' is not legal; expected nothing: suite='v1'"),
        (("--label", "a|b"), "label='a|b' is not legal; expected 1 to 60 letters"),
        (("--dtype", "bfloat16"), "dtype='bfloat16' is not legal; expected nothing with the bundled models"),
        (("--parts", "arc,chess"), "parts='chess' is not legal; expected 'arc-mini' or 'arc'"),
    ],
)
def test_what_would_change_the_measurement_is_refused(seal_env: Call, given: tuple[str, ...], said: str) -> None:
    found = seal_env("eval", "--suite", "v1", "--agent", "none", *given)
    assert (found.code, said in " ".join(found.err.split())) == (2, True), found.err
    assert not Path("runs").exists()


def test_options_of_the_suite_need_it(seal_env: Call) -> None:
    found = seal_env("eval", "--label", "mine")
    assert found.code == 2
    assert "label='mine' is not legal; expected nothing without --suite" in found.err


def shortened(part: Part, ids: int, **changed: Any) -> Part:
    tasks = dict(list(part.tasks.items())[:ids])
    small = {"subset": ",".join(tasks), "max_steps": 8, **changed}
    if "max_examples" not in part.settings or part.settings["domain"] == "arc":
        small["max_examples"] = 4
    return part.model_copy(update={"tasks": tasks, "settings": {**part.settings, **small}, "in_call": 2})


@pytest.fixture(scope="module")
def small() -> Suite:
    parts = load_suite("v1").parts
    own = {
        "arc-mini": shortened(parts["arc-mini"], 2),
        "knowledge": shortened(parts["knowledge"], 2),
        "continual": shortened(parts["continual"], 2, sequence=2),
    }
    return Suite(name="v1", summary="three small parts", parts=own)


Measured = tuple[Suite, Path, Mapping[str, Any]]


@pytest.fixture(scope="module")
def measured(small: Suite, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The small suite with the agent `random`: a part, then the others; stopped after a batch and resumed."""
    out = tmp_path_factory.mktemp("suite") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for module in (measure, entry):
            patch.setattr(module, "load_suite", lambda name: small)
        patch.setattr("seal_env.cli.run.load_suite", lambda name: small)
        command = ("eval", "--suite", "v1", "--agent", "random", "--out", str(out), "--label", "chance")
        assert main((*command, "--parts", "continual")) == 0
        assert main(command) == 0
        first = json.loads((out / "results.json").read_text())
        journal = out / "arc-mini" / "samples.jsonl"
        journal.write_text(journal.read_text().splitlines(keepends=True)[0])
        for name in ("finished", "arc-mini/finished", "results.json"):
            (out / name).unlink()
        assert main(command) == 0
        again = json.loads((out / "results.json").read_text())
    for name, row in first["parts"].items():
        assert again["parts"][name]["success"] == row["success"]
        assert again["parts"][name]["evidence"]["success"] == row["evidence"]["success"]
    return small, out, again


@pytest.fixture
def as_small(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    for module in ("seal_env.experiments.suite.entry", "seal_env.experiments.suite.measure", "scripts.make_leaderboard"):
        monkeypatch.setattr(f"{module}.load_suite", lambda name: measured[0])
    return copy.deepcopy(measured[2])


@pytest.mark.integration
def test_a_run_writes_an_entry_with_what_it_measured_and_what_it_cost(as_small: Mapping[str, Any]) -> None:
    found = check_entry(as_small)
    assert (found.label, found.agent, found.learns, list(found.parts)) == ("chance", "random", False, list(found.parts))
    assert set(found.parts) == {"arc-mini", "knowledge", "continual"}
    assert found.parts["arc-mini"].episodes == 4
    assert found.parts["continual"].episodes == 1
    spent = found.parts["arc-mini"].cost
    assert spent.updates == 4
    assert spent.example_tokens > spent.steps > 4
    assert all(row.cost.policy_tokens == 0 and row.cost.seconds > 0 for row in found.parts.values())
    assert found.command == "seal-env eval --suite v1 --agent random --label chance"
    assert found.versions["torch"]


@pytest.mark.integration
def test_what_was_compiled_but_never_trained_costs_no_tokens(
    small: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("seal_env.experiments.suite.entry", "seal_env.experiments.suite.measure", "seal_env.cli.run"):
        monkeypatch.setattr(f"{module}.load_suite", lambda name: small)
    options = ("--suite", "v1", "--agent", "none", "--parts", "knowledge", "--out", str(tmp_path / "run"))
    assert main(("eval", *options)) == 0
    spent = json.loads((tmp_path / "run" / "results.json").read_text())["parts"]["knowledge"]["cost"]
    assert (spent["updates"], spent["steps"], spent["example_tokens"]) == (0, 0, 0)


def test_an_entry_names_no_folder_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    adapters = f"{tmp_path}/runs/a,/home/me/b,c/d"
    given = ("/usr/bin/seal-env", "eval", "--agent=/home/me/own.py", "--policy-adapter", adapters, "--out", "run")
    assert measure.shown_command(given, "v1", "own") == "seal-env eval --agent=own.py --policy-adapter runs/a,b,c/d"
    assert measure.without_folders(["/home/me/b", "c/d", 3, None]) == ["b", "c/d", 3, None]


@pytest.mark.integration
def test_a_run_of_the_suite_is_shown_as_it_was_when_it_ended(measured: Measured, seal_env: Call) -> None:
    shown = seal_env("show", str(measured[1]))
    assert "command eval suite, agent random, suite v1" in shown.out
    assert [line.split()[0] for line in shown.out.splitlines()[-3:]] == list(measured[2]["parts"])
    assert json.loads(seal_env("show", str(measured[1]), "--json").out) == measured[2]


@pytest.mark.integration
def test_the_parts_of_a_suite_that_have_single_episodes_are_named(measured: Measured, seal_env: Call) -> None:
    said = seal_env("export", str(measured[1]), "--to", "csv")
    assert (said.code, f"its parts do: {measured[1] / 'arc-mini'}, {measured[1] / 'knowledge'}" in said.err) == (2, True)


def drop_episode(data: dict[str, Any]) -> None:
    next(iter(data["parts"]["arc-mini"]["evidence"]["success"].values())).pop()


def first_of(data: dict[str, Any], field: str) -> list[Any]:
    found: list[Any] = next(iter(data["parts"]["arc-mini"]["evidence"][field].values()))
    return found


def drop_task(data: dict[str, Any]) -> None:
    data["parts"]["knowledge"]["evidence"]["success"].popitem()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(digest="0" * 64), "is not that of this version"),
        (lambda data: data.update(command="rm -rf"), "does not match"),
        (lambda data: data.update(extra=1), "Additional properties"),
        (lambda data: data["parts"].update(chess=data["parts"]["knowledge"]), "not chess"),
        (drop_episode, "2 episodes of each of 2 tasks are needed"),
        (drop_task, "some are missing"),
        (lambda data: data["parts"]["knowledge"]["success"].update(mean=0.99), "success does not follow from the evidence"),
        (
            lambda data: data["parts"]["arc-mini"].update(fingerprint="0" * 64),
            "is not the model that the suite was made with",
        ),
        (lambda data: data["options"].update(policy_adapter=["mine"]), "what it was trained on"),
        (lambda data: data.update(agent="bandit", learns=False), "learns is false, but the agent 'bandit' learns"),
        (lambda data: first_of(data, "success").__setitem__(0, 5.0), "greater than the maximum"),
        (lambda data: first_of(data, "success").__setitem__(0, math.nan), "success"),
        (lambda data: first_of(data, "updated").pop(), "of 2 self-edits for each key"),
        (lambda data: data["not_applicable"].update(knowledge="no texts"), "a part that was measured"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(
    as_small: dict[str, Any], change: Callable[[dict[str, Any]], None], said: str
) -> None:
    change(as_small)
    with pytest.raises(TaskError, match=said):
        check_entry(as_small)


@pytest.mark.integration
def test_a_run_is_added_to_the_leaderboard_unless_its_journal_was_changed(
    measured: Measured, as_small: Mapping[str, Any], tmp_path: Path
) -> None:
    path = add(measured[1], tmp_path)
    found = check_entry(json.loads(path.read_text()))
    assert path.name == "v1-chance.json"
    written = page({path.name: found})
    assert "| `chance` |" in written
    assert "| `none` | not measured yet |" in written
    journal = measured[1] / "knowledge" / "samples.jsonl"
    before = journal.read_text()
    journal.write_text(before.replace('"outcome": "ok"', '"outcome": "over_budget"', 1))
    with pytest.raises(TaskError, match=r"samples\.jsonl is not the journal"):
        add(measured[1], tmp_path)
    journal.write_text(before)
    results = measured[1] / "results.json"
    whole = results.read_text()
    results.write_text(re.sub(r'"updates": \d+', '"updates": 0', whole, count=1))
    with pytest.raises(TaskError, match=r"cost\.updates is not what"):
        add(measured[1], tmp_path)
    results.write_text(whole)
    path.write_text(json.dumps({**json.loads(whole), "agent": "fixed"}))
    with pytest.raises(TaskError, match="an entry of the agent 'fixed'"):
        add(measured[1], tmp_path)


@pytest.mark.integration
def test_another_model_has_a_table_of_its_own(as_small: dict[str, Any]) -> None:
    for row in as_small["parts"].values():
        row.update(model="large/model", fingerprint="1" * 64)
    found = check_entry(as_small)
    assert base_model(found, load_suite("v1")) == "large/model"
    assert "### Large/model" in page({"a.json": found})


@pytest.mark.integration
def test_texts_of_an_entry_are_no_markup(as_small: dict[str, Any]) -> None:
    as_small["machine"] = "a | b\n## <script>"
    assert "| a \\| b \\#\\# \\<script\\> |" in page({"x.json": check_entry(as_small)})


def test_a_policy_that_was_trained_on_the_suite_is_refused(seal_env: Call) -> None:
    command = ("eval", "--suite", "v1", "--parts", "arc-mini", "--trained-on", "mini-eval:3", "--agent", "none")
    found = seal_env(*command, "--out", "run")
    assert found.code == 2
    assert "3 are in both" in found.err


def test_the_schema_is_one_of_json_schema() -> None:
    assert schema()["additionalProperties"] is False
    assert {"digest", "parts", "command"} <= set(schema()["required"])


def test_a_suite_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingError, match="suite='v0' is not legal; expected 'v1'"):
        load_suite("v0")
