"""Answers from a server with adapters: the same as the engine's, with adapters that come and go, and no failure scored."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.cli import main
from seal_env.domains.arc import ARC
from seal_env.errors import SettingError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.inner_loop.served import ServedEvaluation
from seal_env.serving.client import ChatServer
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import Answer, InnerLoop, LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob
from tests.helpers.adapter_server import AdapterServer
from tests.helpers.inner_loops import NotingInnerLoop
from tests.helpers.servers import as_json, breaking_off, error, failing, fine

PAIRS = tuple(GridPair(((a, b),), ((b, a),)) for a, b in [(1, 2), (3, 4), (5, 6), (7, 8)])
PLAIN = GridFormat("plain")
EXAMPLES = tuple(example((), pair, PLAIN) for pair in PAIRS)
QUERIES = tuple(replace(query(str(n), (), PAIRS[n], PLAIN), max_answer_tokens=12) for n in (0, 3))
LEARNT = TrainingConfig("train_using_output_tokens", 3e-2, 6)
"""Enough to learn the pairs by heart."""

JOB = UpdateJob(EXAMPLES, LEARNT, LoraSpec(4, 8.0), Recipe(warmup_steps=0), 0, QUERIES)
OTHER = replace(JOB, seed=1, training=replace(LEARNT, num_train_epochs=1))
ASK = replace(JOB, examples_E=())
TRIED = 1
"""Adapters that are loaded to see whether the server loads any."""
LOOPS: dict[str, Callable[[FrozenLM], InnerLoop]] = {"reference": ReferenceInnerLoop, "batched": BatchedInnerLoop}


@pytest.fixture
def base(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> FrozenLM:
    """Of the architecture that a test is parametrized with."""
    return load_base_model(tiny_models[getattr(request, "param", "llama")], "cpu")


@pytest.fixture
def server(base: FrozenLM) -> Iterator[AdapterServer]:
    server = AdapterServer(base)
    with server.running():
        yield server


def served(base: FrozenLM, server: AdapterServer, inner: InnerLoop | None = None, at_once: int = 1) -> ServedEvaluation:
    where = ChatServer(server.base_url, timeout=600.0, retries=0)
    return ServedEvaluation(inner or BatchedInnerLoop(base), base.encoder, where, adapters_at_once=at_once)


def said(answers: Sequence[Answer]) -> list[tuple[str, bool, str | None]]:
    return [(answer.query_id, answer.exact, answer.text) for answer in answers]


@pytest.mark.parametrize(
    ("base", "loop", "at_once"),
    [("llama", "batched", 1), ("llama", "reference", 3), ("qwen2", "batched", 3), ("qwen2", "reference", 1)],
    indirect=["base"],
)
def test_answers_are_those_of_the_engine(base: FrozenLM, server: AdapterServer, loop: str, at_once: int) -> None:
    inner = LOOPS[loop](base)
    jobs = [replace(job, queries_Q=tuple(replace(each, pattern=None) for each in QUERIES)) for job in (JOB, ASK, OTHER)]
    ours, engine = served(base, server, inner, at_once).run(jobs), inner.run(jobs)
    assert [said(result.answers_Q) for result in ours] == [said(result.answers_Q) for result in engine]
    assert any(answer.exact for answer in ours[0].answers_Q)
    assert said(ours[0].answers_Q) != said(ours[1].answers_Q)
    assert [result.losses_S for result in ours] == [result.losses_S for result in engine]
    assert all(math.isnan(answer.margin) for result in ours for answer in result.answers_Q)


def test_adapters_come_under_fresh_names_and_paths_and_go(base: FrozenLM, server: AdapterServer) -> None:
    loop = served(base, server)
    for _ in range(2):
        loop.run([JOB, ASK, OTHER])
    assert len(server.loaded) == len(set(server.loaded.values())) == TRIED + 4
    assert server.names == ["base"]
    assert not any(path.exists() for path in server.loaded.values())


def test_base_model_says_the_same_before_beside_and_after(base: FrozenLM, server: AdapterServer) -> None:
    loop = served(base, server)
    answers = [said(result.answers_Q) for jobs in ([ASK], [JOB, ASK], [ASK]) for result in loop.run(jobs)]
    before, adapted, beside, after = answers
    assert before == beside == after != adapted


@pytest.mark.parametrize(("decode", "most"), [(True, 12), (False, None)])
def test_wrong_answers_run_to_their_end_only_where_their_text_is_wanted(
    base: FrozenLM, server: AdapterServer, decode: bool, most: int | None
) -> None:
    served(base, server).run([replace(JOB, decode=decode)])
    asked = [body["max_tokens"] for body in server.seen if "prompt" in body]
    gold = [len(base.encoder.query(each).gold_T) for each in QUERIES]
    assert asked == ([most] * 2 if most else gold)
    assert max(gold) < 12


def test_nothing_else_is_asked_beside_an_adapter(base: FrozenLM, server: AdapterServer) -> None:
    served(base, server).run([JOB, ASK, OTHER])
    changes = sum(first != second for first, second in zip(server.asked, server.asked[1:], strict=False))
    assert (len(server.asked), changes) == (3 * len(QUERIES), 2)


def test_adapter_to_be_kept_is_kept_and_asked(base: FrozenLM, server: AdapterServer, tmp_path: Path) -> None:
    kept = replace(JOB, save_to=tmp_path / "kept")
    unasked = replace(OTHER, queries_Q=(), save_to=tmp_path / "unasked")
    untrained = replace(ASK, save_to=tmp_path / "untrained")
    first, second, third = served(base, server).run([kept, unasked, untrained])
    assert all((tmp_path / name / "adapter_config.json").is_file() for name in ("kept", "unasked", "untrained"))
    assert said(first.answers_Q) == said(served(base, server).run([JOB])[0].answers_Q)
    assert (second.outcome, second.answers_Q) == (Outcome.OK, ())
    assert said(third.answers_Q) == said(served(base, server).run([ASK])[0].answers_Q)
    assert len(server.loaded) == (TRIED + 1) * 2  # of two evaluations
    assert [result.adapter for result in (first, second, third)] == [kept.save_to, unasked.save_to, untrained.save_to]


def test_result_has_no_adapter_unless_the_job_saves_it(base: FrozenLM, server: AdapterServer) -> None:
    assert [result.adapter for result in served(base, server).run([JOB, ASK])] == [None, None]


def test_wrong_answers_have_a_text_only_where_it_is_wanted(base: FrozenLM, server: AdapterServer) -> None:
    with_text, without = served(base, server).run([ASK, replace(ASK, decode=False)])
    wrong = [not answer.exact for answer in with_text.answers_Q]
    assert any(wrong)
    assert [answer.text is None for answer in without.answers_Q] == wrong
    assert all(answer.text is not None for answer in with_text.answers_Q)


def test_update_that_diverged_is_not_asked(base: FrozenLM, server: AdapterServer) -> None:
    diverging = replace(JOB, lora=LoraSpec(4, 1e40))
    result, other = served(base, server).run([diverging, JOB])
    assert (result.outcome, result.answers_Q) == (Outcome.DIVERGED, ())
    assert other.outcome is Outcome.OK
    assert len(server.loaded) == 2 * TRIED + 1  # of two shapes of adapters


# As a setting


SHORT: dict[str, Any] = {"subset": "mini-train:2", "max_examples": 4, "max_turns": 1, "evaluator": "vllm"}


@pytest.fixture
def tiny() -> Iterator[AdapterServer]:
    server = AdapterServer(load_base_model("seal-tiny", "cpu"))
    with server.running():
        yield server


def test_environment_has_the_server_answer_as_the_engine_would(tiny: AdapterServer) -> None:
    served_env = gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2, **SHORT, evaluator_url=tiny.base_url)
    engine_env = gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2, **{**SHORT, "evaluator": "local"}, cache="off")
    steps = []
    for env in (served_env, engine_env):
        env.reset(seed=0)
        steps.append(env.step((ARC.default_self_edit, ARC.default_self_edit)))
    (_, rewards, _, _, infos), (_, expected, _, _, expected_infos) = steps
    assert rewards.tolist() == expected.tolist()
    assert infos["accuracy_after"].tolist() == expected_infos["accuracy_after"].tolist()
    assert infos["outcome"].tolist() == ["ok", "ok"]
    assert len(tiny.loaded) == TRIED + 2
    assert tiny.names == ["base"]


def test_server_is_asked_again_for_what_it_has_answered(tiny: AdapterServer) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", **SHORT, evaluator_url=tiny.base_url, decode="never")
    for _ in range(2):
        env.reset(seed=0)
        env.step(ARC.default_self_edit)
    assert len(tiny.loaded) == TRIED + 2


def test_one_evaluation_for_one_place(tiny: AdapterServer) -> None:
    def make(url: str | None = None, model: str | None = None) -> InnerLoop:
        return make_inner_loop("batched", "seal-tiny", "cpu", "off", None, url, model)

    plain, first = make(), make(tiny.base_url)
    assert isinstance(first, ServedEvaluation)
    assert first is make(tiny.base_url) is not plain
    assert first is not make(tiny.base_url, "base")
    with pytest.raises(SettingError, match=r"evaluator_model='bse'.*which serves 'base'"):
        make(tiny.base_url, "bse").run([ASK])


def test_command_line_runs_with_a_server_that_answers(tiny: AdapterServer, tmp_path: Path) -> None:
    options = ["--env", "SEAL-ARC-Mini-v0", "--agent", "fixed", "--subset", "mini-train:1", "--max-examples", "4"]
    where = ["--evaluator", "vllm", "--evaluator-url", tiny.base_url, "--out", str(tmp_path / "run")]
    assert main(["run", *options, *where]) == 0
    settings = tomllib.loads((tmp_path / "run" / "settings.toml").read_text())["environment"]
    assert (settings["evaluator"], settings["evaluator_url"], settings["cache"]) == ("vllm", tiny.base_url, "off")
    assert len(tiny.loaded) == TRIED + 1


# Failures


def test_server_that_is_not_there_costs_no_training(base: FrozenLM) -> None:
    server = AdapterServer(base)
    with server.running():
        inner = NotingInnerLoop(BatchedInnerLoop(base))
        loop = served(base, server, inner)
    results = loop.run([JOB, ASK])
    assert {result.outcome for result in results} == {Outcome.ENGINE_ERROR}
    assert all(f"{server.base_url} gave no answers: no connection" in result.reason for result in results)
    assert inner.jobs == []


def test_failure_concerns_the_jobs_that_it_befell(base: FrozenLM, server: AdapterServer) -> None:
    server.faults += [fine, fine, fine, fine, failing(507, "no room for another adapter")]
    asked, refused, after = served(base, server).run([ASK, JOB, OTHER])
    assert [each.outcome for each in (asked, refused, after)] == [Outcome.OK, Outcome.ENGINE_ERROR, Outcome.OK]
    assert "POST /load_lora_adapter failed: HTTP 507: no room for another adapter" in refused.reason
    assert refused.answers_Q == ()
    assert len(refused.losses_S) == 12


@pytest.mark.parametrize("status", [400, 404, 405])
def test_server_that_loads_no_adapters_is_told_before_any_training(
    base: FrozenLM, server: AdapterServer, status: int
) -> None:
    inner = NotingInnerLoop(BatchedInnerLoop(base))
    server.always = lambda body: error(status, "Not Found") if "lora_name" in body else None
    with pytest.raises(
        SettingError, match=rf"POST /load_lora_adapter failed: HTTP {status}.*VLLM_ALLOW_RUNTIME_LORA_UPDATING"
    ):
        served(base, server, inner).run([ASK, JOB])
    assert not any(job.learns for job in inner.jobs)
    assert served(base, server).run([ASK])[0].outcome is Outcome.OK  # asks the base model alone


def test_server_that_cannot_load_an_adapter_just_now_is_no_setting(base: FrozenLM, server: AdapterServer) -> None:
    loop = served(base, server)
    server.faults.append(failing(503, "loading the model"))
    assert "POST /load_lora_adapter failed: HTTP 503" in loop.run([JOB])[0].reason
    assert loop.run([JOB])[0].outcome is Outcome.OK


@pytest.mark.parametrize("fault", [failing(500), breaking_off])
def test_failure_in_the_middle_of_a_job_leaves_no_adapter_behind(
    base: FrozenLM, server: AdapterServer, fault: object
) -> None:
    server.faults += [fine, fine, fine, fine, fault]  # type: ignore[list-item]
    result = served(base, server).run([JOB])[0]
    assert (result.outcome, result.answers_Q) == (Outcome.ENGINE_ERROR, ())
    assert server.names == ["base"]


def test_query_that_the_server_cannot_take_is_told(base: FrozenLM, server: AdapterServer) -> None:
    server.models[0]["max_model_len"] = 20
    result = served(base, server).run([ASK])[0]
    assert result.outcome is Outcome.ENGINE_ERROR
    assert "the 20 tokens that the server takes" in result.reason


def test_server_that_does_not_stop_is_told(base: FrozenLM, server: AdapterServer) -> None:
    text = {"choices": [{"text": "1 2\n" * 100_000, "finish_reason": "stop"}]}
    server.always = lambda body: as_json(text) if "prompt" in body else None
    result = served(base, server).run([ASK])[0]
    assert result.outcome is Outcome.ENGINE_ERROR
    assert "400000 characters, though at most 12 tokens were asked for. Check evaluator_url" in result.reason


def test_episode_whose_answers_failed_has_no_reward(tiny: AdapterServer) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", disable_env_checker=True, **SHORT, evaluator_url=tiny.base_url)
    env.reset(seed=0)
    assert env.step(ARC.default_self_edit)[4]["outcome"] == "ok"
    env.reset(seed=0)
    tiny.faults.append(failing(400))
    _, reward, terminated, truncated, info = env.step(ARC.default_self_edit)
    assert math.isnan(float(reward))
    assert (terminated, truncated, info["outcome"]) == (False, True, "engine_error")


def test_model_that_is_not_served_is_told(base: FrozenLM, server: AdapterServer) -> None:
    where = ChatServer(server.base_url)
    with pytest.raises(SettingError, match=r"evaluator_model='bse'.*which serves 'base'"):
        ServedEvaluation(BatchedInnerLoop(base), base.encoder, where, "bse").run([ASK])
    server.models.append({"id": "second"})
    with pytest.raises(SettingError, match=r"evaluator_model=None.*'base', 'second'"):
        ServedEvaluation(BatchedInnerLoop(base), base.encoder, where).run([ASK])
    with pytest.raises(SettingError, match="adapters_at_once"):
        ServedEvaluation(BatchedInnerLoop(base), base.encoder, where, adapters_at_once=0)
