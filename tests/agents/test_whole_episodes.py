"""Episodes of several turns: what an agent learned from, and learns again, is every turn of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_env.agents.base import Agent, Info, PolicyFailure, Trajectory
from seal_env.agents.evaluation import EvalSample, read_samples, sample_tasks, starts
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.prompt import PolicyPrompt
from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.rollouts import run_episodes
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.domains.arc import TOOLS
from seal_env.episodes.runtime import Runtime
from seal_env.errors import PolicyError, SettingError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.tokens.arguments import TemplateArguments
from seal_env.journal import Journal
from seal_env.self_edits.prompt import example_action
from seal_env.settings import Settings
from seal_env.types import Answer, Example, Message, Outcome, Query, Recipe, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

CALLS = [json.dumps([call]) for call in json.loads(example_action(TOOLS))]
TURNS = [CALLS[0], "I am not sure.", *CALLS[1:]]
"""Tool calls one by one, with a mistake among them."""


class RightOnceTrained(FakeInnerLoop):
    def result(self, job: UpdateJob) -> UpdateResult:
        right = bool(job.examples_E)
        answers = (Answer(query.query_id, right, query.answer if right else None, 1.0) for query in job.queries_Q)
        return UpdateResult(Outcome.OK, "", tuple(answers), (1.0,))


def runtime(subset: str = "mini-train:2", max_turns: int = len(TURNS)) -> Runtime:
    return Runtime(Settings.resolve(subset=subset, max_turns=max_turns, max_examples=4, decode="never"), RightOnceTrained())


class Scripted(Agent):
    """Says TURNS one after the other; notes what it reads, what it is given and what it learns from."""

    reads_history = True
    learns = True

    def __init__(self) -> None:
        self.read: list[tuple[str, Any]] = []
        self.learned: list[list[tuple[str, str, float]]] = []

    def act(self, observation: str, info: Info) -> str:
        self.read.append((observation, info["turn"]))
        return TURNS[info["turn"]]

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        self.learned += [[(turn.observation, turn.action, turn.reward) for turn in each.turns] for each in trajectories]


def run(path: Path, agent: Agent, again: bool = True) -> list[EvalSample]:
    world = runtime()
    return sample_tasks(world, agent, starts(world.taskset.task_ids, 2, 1), 2, Journal(path), again=again)


def test_samples_have_the_actions_of_every_turn(tmp_path: Path) -> None:
    samples = run(tmp_path / "samples.jsonl", Scripted())
    assert {sample.actions for sample in samples} == {tuple(TURNS)}
    assert read_samples(Journal(tmp_path / "samples.jsonl")) == samples


def test_agent_that_learns_reads_and_learns_every_turn_again(tmp_path: Path) -> None:
    whole, again = Scripted(), Scripted()
    run(tmp_path / "samples.jsonl", whole)
    run(tmp_path / "samples.jsonl", again)
    assert [len(turns) for turns in again.learned] == [len(TURNS)] * 4
    assert (again.read, again.learned) == (whole.read, whole.learned)


def rest_em(folder: Path, world: Runtime, policy: FrozenLM, **settings: Any) -> RestEm:
    given: dict[str, Any] = {"rounds": 1, "samples": 1, "eval_samples": 1, "sft_epochs": 1, **settings}
    chosen, held_out = RestEmSettings(**given), runtime("mini-eval:1")
    return RestEm(policy, lambda _: Scripted(), world, held_out, chosen, folder, PolicyChat(TOOLS))


def test_rest_em_learns_each_turn_as_the_answer_to_what_was_read(tmp_path: Path) -> None:
    learned: list[Example] = []
    trainer = rest_em(tmp_path, runtime("mini-train:1"), load_base_model("seal-tiny", "cpu"))
    samples = trainer._sample(1, trainer.base)
    learned += trainer._examples(1, samples, trainer.base)
    agent = trainer.make_agent(trainer.base)
    assert isinstance(agent, Scripted)
    sample_tasks(trainer.runtime, agent, trainer._starts(1), 1, Journal(tmp_path / "other.jsonl"))
    assert [example.messages[-1].content for example in learned] == TURNS
    assert [example.messages[-2].content for example in learned] == [text for text, _ in agent.read]
    assert f"Your reply:\n{TURNS[1]}" in learned[2].messages[-2].content


def test_rest_em_runs_with_several_turns(tmp_path: Path) -> None:
    result = rest_em(tmp_path, runtime("mini-train:1"), load_base_model("seal-tiny", "cpu")).run()
    assert result["rounds"][0]["kept"] == 1
    assert json.loads((tmp_path / "round-1" / "kept.json").read_text())[0]["earlier"] == TURNS[:-1]


def test_grpo_refuses_turns_where_a_completion_is_a_whole_self_edit(tmp_path: Path) -> None:
    grpo = pytest.importorskip("seal_env.agents.trainers.grpo")
    base = load_base_model("seal-tiny", "cpu")
    given = (GrpoSettings(tool_calls="off"), LocalPolicyOptions(), tmp_path)
    with pytest.raises(SettingError, match=r"max_turns=2 .*expected 1 where a completion is a whole self-edit"):
        grpo.Grpo(base, runtime(max_turns=2), runtime(max_turns=1), *given)


def test_grpo_s_prompts_have_the_fixed_date_and_the_template_s_arguments(
    tiny_models: dict[str, str], tmp_path: Path
) -> None:
    grpo = pytest.importorskip("seal_env.agents.trainers.grpo")
    arguments = TemplateArguments("2025-03-01", '{"loud": true}')
    base = load_base_model("seal-tiny", "cpu").with_template(arguments)
    base.tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}{% if loud %}!{% endif %}" + base.tokenizer.chat_template
    given = (GrpoSettings(tool_calls="off", samples=2), LocalPolicyOptions(max_new_tokens=4), tmp_path)
    trainer = grpo.Grpo(base, runtime(max_turns=1), runtime(max_turns=1), *given).trainer()
    chat = [{"role": "user", "content": "u"}]
    text = trainer.processing_class.apply_chat_template(chat, tokenize=False, **trainer.chat_template_kwargs)
    assert text.startswith("01 Mar 2025!<|begin|>")


def test_policy_that_learns_is_asked_as_it_learns(tiny_models: dict[str, str]) -> None:
    base = load_base_model(tiny_models["qwen2"], "cpu")
    base = replace(base.with_template(base.template), name="thinks")
    template = base.tokenizer.chat_template.replace("assistant\n'", "assistant\n<think>\n'")
    base.tokenizer.chat_template = template
    chat = (Message("user", "u"),)
    learned = base.encoder.example(Example((*chat, Message("assistant", "[1]"))), Recipe())
    prompts = [PolicyPrompt(base, PolicyChat(TOOLS), tools=False, as_learned=flag) for flag in (True, False)]
    asked, thinking = (prompt.encode(chat) for prompt in prompts)
    assert asked == base.encoder.query(Query("", chat, "[1]")).prompt_T == learned.ids_T[: len(asked)]
    assert "<think>" in base.tokenizer.decode(list(thinking))
    assert "<think>" not in base.tokenizer.decode(list(asked))


@pytest.mark.parametrize("model", ["seal-tiny", "seal-tiny-text"])
def test_bundled_policies_are_asked_alike_either_way(model: str) -> None:
    base, chat = load_base_model(model, "cpu"), (Message("system", "s"), Message("user", "u"))
    prompts = [PolicyPrompt(base, PolicyChat(TOOLS), tools=False, as_learned=flag).encode(chat) for flag in (True, False)]
    assert prompts[0] == prompts[1]


class Failing(Scripted):
    """Has no second action for one of two episodes."""

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        actions: list[str | PolicyFailure] = [self.act(*each) for each in zip(observations, infos, strict=True)]
        return [PolicyFailure("gone"), *actions[1:]] if infos[0]["turn"] == 2 and len(infos) == 2 else actions


def test_failures_are_not_learned_again(tmp_path: Path) -> None:
    whole, again = Failing(), Failing()
    run(tmp_path / "samples.jsonl", whole)
    run(tmp_path / "samples.jsonl", again, again=False)
    assert len(again.learned) == 2
    assert (again.read, again.learned) == (whole.read, whole.learned)


def test_failures_and_only_they_are_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    before = run(path, Failing())
    after = run(path, Scripted())
    assert [sample.failed for sample in before] == [True, False, True, False]
    assert [sample.failed for sample in after] == [False] * 4
    assert after[1::2] == before[1::2]
    assert read_samples(Journal(path)) == after
    assert [len(record["samples"]) for record in Journal(path).read()] == [2, 2]


class Silent(Scripted):
    """Has no action for any episode."""

    learns = False

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        raise PolicyError("no action for such a prompt")


def test_failures_that_nothing_mends_stay(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    before = run(path, Scripted())
    record = Journal(path).read()[1]["samples"]
    Journal(path).replace([Journal(path).read()[0], {"samples": [each | {"reward": None, "action": ""} for each in record]}])
    after = run(path, Silent())
    assert after[:2] == before[:2]
    assert [sample.failed for sample in after] == [False, False, True, True]


def test_failures_are_tried_again_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(world: Any, actor: Any, begun: Any, *others: Any) -> Any:
        sizes.append(len(begun))
        return run_episodes(world, actor, begun, *others)

    sizes, path = list[int](), tmp_path / "samples.jsonl"
    before = run(path, Scripted())
    records = Journal(path).read()
    Journal(path).replace([{"samples": [each | {"reward": None} for each in record["samples"]]} for record in records])
    monkeypatch.setattr("seal_env.agents.evaluation.run_episodes", counted)
    after = run(path, Scripted())
    assert sizes == [2, 2]
    assert [replace(each, seconds=0.0) for each in after] == [replace(each, seconds=0.0) for each in before]


def test_failures_of_a_round_that_was_measured_stay_so_that_later_rounds_are_of_the_policy_that_they_say(
    tmp_path: Path,
) -> None:
    trainer = rest_em(tmp_path, runtime("mini-train:1"), load_base_model("seal-tiny", "cpu"))
    (found,) = trainer._sample(1, trainer.base)
    journal = Journal(tmp_path / "round-1" / "samples.jsonl")
    journal.replace([{"samples": [vars(found) | {"reward": None}]}])
    trainer._evaluate(1, trainer.base)
    assert [each.failed for each in trainer._sample(1, trainer.base)] == [True]
    (tmp_path / "round-1" / "held-out.jsonl").unlink()
    assert [each.failed for each in trainer._sample(1, trainer.base)] == [False]
