"""Stored episodes that are scored again: what they had, what they get, and what is refused."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.agents.base import Agent, Info
from seal_env.errors import GraderError, RunFolderError, SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import evaluate
from seal_env.experiments.rescore import Changes, rescore
from seal_env.experiments.run import run
from seal_env.experiments.settings import EvalSettings, RunSettings
from seal_env.types import Evaluation
from tests.helpers.cli import Call
from tests.helpers.judge_server import JudgeServer

DOCUMENT = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text(encoding="utf-8")
QUIET = Console(quiet=True)
LEARNED: Mapping[str, Any] = {"subset": "synthetic-eval:2", "default_num_epochs": 3}
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "greedy": ("SEAL-ARC-Mini-v0", {"subset": "mini-train:2", "max_examples": 4}),
    "vote": ("SEAL-ARC-Mini-v0", {"subset": "mini-train:1", "max_examples": 4, "evaluation": "vote", "reward": "gain"}),
    "exact_match": ("SEAL-Knowledge-v0", {**LEARNED, "reward": "word_f1"}),
    "lexical": ("SEAL-Knowledge-v0", {**LEARNED, "grader": "lexical"}),
    "reasoning": ("SEAL-Reasoning-v0", {"subset": "chain_sum:1", "max_examples": 2}),
    "custom": ("SEAL-Custom-v0", {"max_examples": 2, "reward": "solved"}),
    "continual": ("SEAL-Continual-v0", {**LEARNED, "sequence": 2, "reward_over": "change"}),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By name, the folder of a run of RUNS, made when it is first wanted."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            env, settings = RUNS[name]
            made[name] = tmp_path_factory.mktemp("runs") / name
            agent = "random" if env == "SEAL-ARC-Mini-v0" else "fixed"
            run(agent, RunSettings(), ExperimentConfig(env, settings, {}, made[name]), QUIET)
        return made[name]

    return folder


@pytest.fixture
def changed(recorded: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """(name, edit of settings.toml, edit of episodes.jsonl) -> a run folder with the lines as edited."""

    def copy(name: str, settings: Callable[[str], str] = str, episodes: Callable[[str], str] = str) -> Path:
        (tmp_path / "copy").mkdir()
        for file, edit in (("settings.toml", settings), ("episodes.jsonl", episodes)):
            text = edit((recorded(name) / file).read_text(encoding="utf-8"))
            (tmp_path / "copy" / file).write_text(text, encoding="utf-8")
        return tmp_path / "copy"

    return copy


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "episodes.jsonl").read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", RUNS)
def test_own_settings_give_the_rewards_on_record_and_leave_the_run_as_it_is(
    recorded: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    folder = recorded(name)
    before = contents(folder)
    result = rescore(folder, Changes(), tmp_path / "result.json")
    rewards = [record["reward"] for record in records(folder)]
    assert [each["reward"] for each in result["episodes"]] == [{"old": reward, "new": reward} for reward in rewards]
    assert result["checked"]
    assert result["changed"] == []
    assert any(record.get("accuracy_after") is not None for record in records(folder))
    assert contents(folder) == before
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == result


def test_other_grader_gives_the_accuracy_of_a_run_with_it(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    for name, grader in (("exact_match", "lexical"), ("lexical", "exact_match")):
        result = rescore(recorded(name), Changes(grader=grader, reward="accuracy"), tmp_path / f"{name}.json")
        expected = [record["accuracy_after"] for record in records(recorded(grader))]
        assert [each["reward"]["new"] for each in result["episodes"]] == expected
        assert result["settings"]["new"] == {"reward": "accuracy", "grader": grader}


def test_changed_verdicts_are_those_that_the_other_grader_gives(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    result = rescore(recorded("exact_match"), Changes(grader=nothing, reward="accuracy"), tmp_path / "result.json")
    record = records(recorded("exact_match"))[0]
    right = [number for number, correct in enumerate(record["correct_after"]) if correct]
    listed = [each for each in result["changed"] if each["episode"] == "episode 0" and each["updates"] == 1]
    assert [each["query"] for each in listed] == right != []
    assert (listed[0]["old"], listed[0]["new"]) == (True, False)
    assert listed[0]["prediction"] == record["predictions_after"][right[0]]
    assert listed[0]["gold"] == record["gold"][right[0]]
    assert listed[0]["question"].endswith("?")
    assert result["summary"]["episodes.jsonl"]["new"]["mean"] == 0.0


def nothing(question: str, gold: str, prediction: str) -> bool:
    return False


def test_rewards_of_a_sequence_are_of_its_matrix(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    (record,) = records(recorded("continual"))
    rows = record["retention"]
    for over, expected in (("new", rows[1][0] + rows[2][1]), ("seen", rows[1][0] + (rows[2][0] + rows[2][1]) / 2)):
        result = rescore(recorded("continual"), Changes(reward_over=over), tmp_path / f"{over}.json")
        assert result["episodes"][0]["reward"]["new"] == pytest.approx(expected)
    wrong = rescore(recorded("continual"), Changes(grader=nothing, reward_over="seen"), tmp_path / "wrong.json")
    assert wrong["episodes"][0]["reward"]["new"] == 0.0
    assert (record["sequence"][1], 2) in {(each["task_id"], each["updates"]) for each in wrong["changed"]}


def test_function_sees_the_evaluations_of_the_run(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    def shaped(base: Evaluation, adapted: Evaluation) -> float:
        return adapted.metrics["word_f1"] - base.partial + len(adapted.predictions_Q)

    record = records(recorded("lexical"))[0]
    result = rescore(recorded("lexical"), Changes(reward=shaped), tmp_path / "result.json")
    expected = record["word_f1_after"] - record["word_f1_before"] + len(record["gold"])
    assert result["episodes"][0]["reward"]["new"] == pytest.approx(expected)


def test_self_edits_of_an_evaluation_are_scored_again(tmp_path: Path) -> None:
    config = ExperimentConfig("SEAL-Knowledge-v0", LEARNED, {}, tmp_path / "run")
    evaluate("fixed", EvalSettings(samples=1), config, QUIET)
    result = rescore(tmp_path / "run", Changes(reward="gain"), tmp_path / "result.json")
    (line,) = (tmp_path / "run" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    gains = [sample["accuracy"] - sample["accuracy_before"] for sample in json.loads(line)["samples"]]
    assert [each["reward"]["new"] for each in result["episodes"]] == gains
    assert result["checked"]


def test_verdicts_of_a_judge_are_cached_and_its_failures_are_no_rewards(
    recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    with JudgeServer().running() as server:
        about: Any = {"grader": "judge", "grader_url": server.base_url, "grader_model": "policy", "reward": "accuracy"}
        result = rescore(recorded("exact_match"), Changes(**about), tmp_path / "one.json")
        assert {each["failed"] for each in result["episodes"]} == {""}
    assert (tmp_path / "verdicts.sqlite").exists()
    again = rescore(recorded("exact_match"), Changes(**about), tmp_path / "two.json")
    assert again["episodes"] == result["episodes"]
    with pytest.raises(GraderError, match="the judge 'policy' at"):
        rescore(recorded("exact_match"), Changes(**about), tmp_path / "other" / "three.json")
    assert not (tmp_path / "other" / "three.json").exists()


def test_means_leave_out_what_the_judge_failed_at(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    asked = []

    def fails_at_first(question: str, gold: str, prediction: str) -> bool:
        asked.append(question)
        if len(asked) == 1:
            raise GraderError("the judge is away")
        return True

    result = rescore(recorded("exact_match"), Changes(grader=fails_at_first, reward="accuracy"), tmp_path / "result.json")
    first, second = result["episodes"]
    assert (first["failed"], first["reward"]["new"], second["reward"]["new"]) == ("the judge is away", None, 1.0)
    assert (result["summary"]["episodes.jsonl"]["tasks"], result["summary"]["episodes.jsonl"]["failed"]) == (1, 1)


FUNCTIONS: Mapping[str, Any] = {"one argument": lambda base: 1.0, "a text": lambda base, adapted: "much"}
REFUSED: Mapping[str, tuple[str, Any, Changes, str]] = {
    "answers that were not decoded": ("greedy", ('decode = "failed"', 'decode = "never"'), Changes(), "decode='never'"),
    "another version": ("greedy", ('seal-env = "', 'seal-env = "9.'), Changes(), "recorded by seal-env 9."),
    "grids with a grader": ("greedy", None, Changes(grader="lexical"), "none to choose where domain='arc'"),
    "unknown grader": ("lexical", None, Changes(grader="fuzzy"), "grader='fuzzy'"),
    "unknown reward": ("greedy", None, Changes(reward="best"), "reward='best'"),
    "gain of a sequence": ("continual", None, Changes(reward="gain"), "another one where sequence > 1"),
    "a function of the run": ("greedy", ('reward = "accuracy"', 'reward = "my:function"'), Changes(), "name of a function"),
    "a function that needs more": ("greedy", None, Changes(reward=FUNCTIONS["one argument"]), "TypeError"),
    "a function without a number": ("greedy", None, Changes(reward=FUNCTIONS["a text"]), "finite numbers"),
    "another domain": ("greedy", ('domain = "arc"', 'domain = "chess"'), Changes(), "domain='chess'"),
    "another command": ("greedy", ("[run]", '[run]\ncommand = "reproduce arc"'), Changes(), "records no single episodes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scored_is_refused(changed: Callable[..., Path], tmp_path: Path, case: str) -> None:
    name, replaced, changes, reason = REFUSED[case]
    folder = changed(name, settings=lambda text: text.replace(*replaced, 1) if replaced else text)
    with pytest.raises((SettingError, RunFolderError), match=reason):
        rescore(folder, changes, tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()


EDITED: Mapping[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a redacted answer": (lambda record: record["predictions_after"].__setitem__(0, ["it is ***"]), "key or a password"),
    "an answer that is missing": (lambda record: record["predictions_after"].pop(), "answers to the"),
    "an answer that is no text": (lambda record: record["predictions_after"].__setitem__(0, [7]), "no answers to"),
    "another gold answer": (lambda record: record["gold"].__setitem__(0, "Rome"), "other gold answers"),
    "another reward": (lambda record: record["rewards"].__setitem__(0, 0.99), "its reward is 0.99"),
    "an older record": (lambda record: record.pop("correct_after"), "another version wrote it"),
}


@pytest.mark.parametrize("case", EDITED)
def test_answers_that_are_not_those_of_the_run_are_refused(changed: Callable[..., Path], tmp_path: Path, case: str) -> None:
    edit, reason = EDITED[case]

    def edited(text: str) -> str:
        first, *others = [json.loads(line) for line in text.splitlines()]
        edit(first)
        return "".join(f"{json.dumps(each)}\n" for each in (first, *others))

    with pytest.raises(RunFolderError, match=reason):
        rescore(changed("exact_match", episodes=edited), Changes(), tmp_path / "result.json")


def test_line_that_was_cut_off_and_failed_episodes_are_left_out(changed: Callable[..., Path], tmp_path: Path) -> None:
    def edited(text: str) -> str:
        first, second = map(json.loads, text.splitlines())
        second |= {"truncated": True, "rewards": [None], "outcome": "engine_error"}
        return f"{json.dumps(first)}\n{json.dumps(second)}\n{json.dumps(first)[:30]}"

    result = rescore(changed("exact_match", episodes=edited), Changes(), tmp_path / "result.json")
    assert [each["reward"]["new"] is None for each in result["episodes"]] == [False, True]
    assert (result["summary"]["episodes.jsonl"]["tasks"], result["summary"]["episodes.jsonl"]["infrastructure"]) == (1, 1)


def test_result_is_a_new_file_outside_the_folder(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    for out in (tmp_path / "there.json", recorded("greedy") / "result.json"):
        with pytest.raises(SettingError, match="a new file outside"):
            rescore(recorded("greedy"), Changes(), out)
    first, second = (rescore(recorded("greedy"), Changes())["out"] for _ in range(2))
    assert (Path(first).name, Path(second).name) == ("greedy-rescored.json", "greedy-rescored-2.json")


def test_command_shows_old_and_new_in_80_columns(
    recorded: Callable[[str], Path], seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = seal_env("rescore", str(recorded("exact_match")), "--reward", "gain", "--grader", f"{__name__}:nothing")
    assert said.code == 0, said.err
    assert "reward    word_f1 -> gain" in said.out
    assert "grader    exact_match -> " in said.out
    assert "now wrong  synthetic-eval-0-0, query" in said.out
    assert max(map(len, said.out.splitlines()[:8])) <= 80
    shown = json.loads(seal_env("rescore", str(recorded("exact_match")), "--reward", "gain", "--json").out)
    assert shown == json.loads(Path(shown["out"]).read_text(encoding="utf-8"))
    assert seal_env("rescore", str(recorded("greedy")), "--reward", "nowhere:at_all").code == 2


def test_example_of_the_document_runs(seal_env: Call, capsys: pytest.CaptureFixture[str]) -> None:
    section = DOCUMENT.partition("## Scoring again")[2].partition("\n## ")[0]
    commands, program = (re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("bash", "python"))
    assert commands
    assert program
    for line in commands[1].splitlines():
        assert seal_env(*shlex.split(line)[1:]).code == 0
    Path("program.py").write_text(program[1], encoding="utf-8")
    runpy.run_path("program.py")
    assert "'mean': " in capsys.readouterr().out


class Clumsy(Agent):
    """Calls a tool that there is not, and then `finetune`."""

    def act(self, observation: str, info: Info) -> str:
        return '[{"name": "nope"}]' if info["turn"] == 0 else '[{"name": "finetune", "arguments": {}}]'


def test_mistakes_keep_their_reward(tmp_path: Path) -> None:
    several = {**LEARNED, "subset": "synthetic-eval:1", "max_turns": 2, "invalid_reward": -0.3}
    config = ExperimentConfig("SEAL-Knowledge-v0", several, {}, tmp_path / "run")
    run(f"{__name__}:Clumsy", RunSettings(), config, QUIET)
    evaluate(f"{__name__}:Clumsy", EvalSettings(samples=1), replace(config, out=tmp_path / "eval"), QUIET)
    for name in ("run", "eval"):
        result = rescore(tmp_path / name, Changes(grader=nothing), tmp_path / f"{name}.json")
        assert result["checked"]
        (episode,) = result["episodes"]
        assert (episode["reward"]["new"], episode["reward"]["old"] > -0.3) == (-0.3, True)


def test_training_is_scored_round_by_round(tmp_path: Path) -> None:
    config = ExperimentConfig("SEAL-Knowledge-v0", {**LEARNED, "subset": "synthetic-eval:1"}, {}, tmp_path / "run")
    evaluate("fixed", EvalSettings(samples=1), config, QUIET)
    samples = (tmp_path / "run" / "samples.jsonl").read_text(encoding="utf-8")
    for name in ("round-1/samples.jsonl", "round-0/held-out.jsonl"):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text(samples, encoding="utf-8")
    (tmp_path / "run" / "samples.jsonl").unlink()
    settings = (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")
    trained = settings.replace('command = "eval"', 'command = "train rest-em"\nheld_out = "synthetic-eval:3"')
    (tmp_path / "run" / "settings.toml").write_text(trained, encoding="utf-8")
    result = rescore(tmp_path / "run", Changes(reward="gain"), tmp_path / "result.json")
    assert list(result["summary"]) == ["round-0/held-out.jsonl", "round-1/samples.jsonl"]
    assert result["checked"]
    assert [each["journal"] for each in result["episodes"]] == list(result["summary"])
