"""Sessions of an OpenEnv server: what Gymnasium gives, with joint updates, and what clients learn when something is lost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openenv", reason="openenv is not installed: make .venv-openenv/.installed")

import httpx
from openenv.core.generic_client import GenericEnvClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from seal_env.adapters.openenv.client import SealClient, SessionLostError
from seal_env.adapters.openenv.messages import SealAction
from seal_env.adapters.openenv.server import _bound, _listen
from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.domains.registry import get_domain
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop, NotingInnerLoop
from tests.helpers.openenv_server import serving

SETTINGS: dict[str, Any] = {"domain": "arc", "subset": "mini-train:4", "max_examples": 4, "max_steps": 4, "cache": "off"}
FINETUNE = SealAction(text=get_domain("arc").default_self_edit)


class GatedInnerLoop(FakeInnerLoop):
    """Waits in `run` while `gate` is shut; where `broken`, every job is an infrastructure failure."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.broken = threading.Event(), False
        self.gate.set()

    def result(self, job: UpdateJob) -> UpdateResult:
        assert self.gate.wait(60)
        if self.broken:
            return UpdateResult(Outcome.ENGINE_ERROR, "lost", ())
        return UpdateResult(Outcome.OK, "", tuple(Answer(query.query_id, True, None, 1.0) for query in job.queries_Q))


@pytest.fixture(scope="module")
def fake_loop() -> GatedInnerLoop:
    return GatedInnerLoop()


@pytest.fixture(scope="module")
def runtime(fake_loop: GatedInnerLoop) -> Runtime:
    return Runtime(Settings.resolve(**SETTINGS), fake_loop)


@pytest.fixture(scope="module")
def address(runtime: Runtime) -> Iterator[str]:
    with serving(runtime, ServerSettings(window=0.0, sessions=3)) as found:
        yield found


@pytest.fixture
def gated(fake_loop: GatedInnerLoop) -> Iterator[GatedInnerLoop]:
    yield fake_loop
    fake_loop.broken = False
    fake_loop.gate.set()


def test_sessions_side_by_side_share_updates_and_give_what_gymnasium_gives() -> None:
    shared = Runtime(Settings.resolve(**SETTINGS))
    shared.load()
    noted = NotingInnerLoop(shared.inner_loop)
    shared.use(noted)
    local = SealEnv(runtime=shared)
    local.action_space.seed(0)
    actions = [local.action_space.sample() for _ in range(4)]

    async def play(url: str, seed: int, action: str) -> Any:
        async with SealClient(url) as env:
            await env.reset(seed=seed)
            mistake = await env.step(SealAction(text="no JSON"))
            assert (mistake.done, mistake.reward, mistake.metadata["outcome"]) == (False, 0.0, "not_json")
            return await env.step(SealAction(text=action))

    async def play_all(url: str) -> list[Any]:
        return await asyncio.gather(*(play(url, seed % 2, action) for seed, action in enumerate(actions)))

    with serving(shared, ServerSettings(window=60.0, batch=8)) as url:
        results = asyncio.run(play_all(url))
    assert [len(jobs) for jobs in noted.calls] == [8]  # an update and the base model's answers for each
    for seed, (action, result) in enumerate(zip(actions, results, strict=True)):
        local.reset(seed=seed % 2)
        local.step("no JSON")
        text, reward, terminated, truncated, info = local.step(action)
        assert (result.observation.text, result.reward, result.done) == (text, reward, True)
        assert result.observation.info == json.loads(json.dumps(info))
        assert (result.metadata["terminated"], result.metadata["truncated"]) == (terminated, truncated)


def test_seeds_choose_the_same_episodes_as_in_gymnasium_and_go_on_without_one(address: str, runtime: Runtime) -> None:
    local = SealEnv(runtime=runtime)
    with SealClient(address).sync() as env:
        for seed in (3, None, None, 7, 0, None):
            text, info = local.reset(seed=seed)
            assert env.reset(seed=seed).observation.text == text
            state = env.state()
            assert (state.task_id, state.seed, state.over) == (info["task_id"], local.episode and local.episode.seed, False)


def test_a_task_is_chosen_by_its_id_or_by_its_place_in_the_task_set(address: str, runtime: Runtime) -> None:
    names = runtime.taskset.task_ids
    with SealClient(address).sync() as env:
        assert env.reset(seed=0, task_id=names[2]).metadata["task_id"] == names[2]
        assert env.reset(split="mini-train", index=1).metadata["task_id"] == names[1]
    asked = {"split": "mini-train", "index": 1}
    assert httpx.post(f"{address}/seal_env/task", json=asked).json()["task"] == {"task_id": names[1], "index": 1}
    assert httpx.post(f"{address}/seal_env/num_tasks", json={"split": "mini-train"}).json() == {"num_tasks": 4}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seed": -1}, "seed=-1 is not legal"),
        ({"seed": True}, "seed=True is not legal"),
        ({"seed": "1"}, "seed='1' is not legal"),
        ({"task_id": "chess"}, "chess"),
        ({"tsak_id": "mini-train-0-1"}, "tsak_id"),
        ({"split": "other", "index": 0}, "split='other' is not legal"),
        ({"split": "mini-train", "index": 4}, "index=4 is not legal; expected 0 to 3"),
        ({"split": "mini-train"}, "a task_id, or a split and an index"),
    ],
)
def test_what_a_reset_cannot_mean_is_an_error_and_the_session_lives(address: str, given: dict[str, Any], says: str) -> None:
    with SealClient(address).sync() as env:
        with pytest.raises(RuntimeError, match=says):
            env.reset(**given)
        assert env.reset(seed=0).observation.text


def test_an_infrastructure_failure_is_truncated_and_has_no_reward(address: str, gated: GatedInnerLoop) -> None:
    gated.broken = True
    with SealClient(address).sync() as env:
        env.reset(seed=0)
        result = env.step(FINETUNE)
    assert (result.done, result.reward, result.metadata["outcome"]) == (True, None, "engine_error")
    assert (result.metadata["terminated"], result.metadata["truncated"]) == (False, True)


def test_a_step_beyond_the_servers_limit_has_no_reward(runtime: Runtime, gated: GatedInnerLoop) -> None:
    gated.gate.clear()
    with serving(runtime, ServerSettings(step_seconds=0.2)) as url:
        with SealClient(url).sync() as env:
            assert env.reset(seed=0).metadata["limits"]["step_seconds"] == 0.2
            result = env.step(FINETUNE)
        gated.gate.set()
    assert (result.done, result.reward, result.metadata["outcome"]) == (True, None, "engine_error")
    assert result.metadata["reason"] == "no result within the limit of 0.2 seconds"


def test_a_client_that_waits_less_than_a_step_may_take_is_warned(address: str) -> None:
    with SealClient(address, message_timeout_s=60).sync() as env, pytest.warns(RuntimeWarning, match="waits only 60"):
        env.reset(seed=0)
    assert SealClient(address)._message_timeout == 3600


def test_a_late_reply_loses_the_session_which_is_never_replaced_in_silence(address: str, gated: GatedInnerLoop) -> None:
    gated.gate.clear()
    with SealClient(address, message_timeout_s=3000.5).sync() as env:
        env.reset(seed=0)
        env.async_client._message_timeout = 0.1
        with pytest.raises(TimeoutError, match=r"within message_timeout_s=0\.1; the session is lost"):
            env.step(FINETUNE)
        env.async_client._message_timeout = 3000.5
        gated.gate.set()
        for call in (lambda: env.step(FINETUNE), env.state):
            with pytest.raises(SessionLostError, match=r"reset\(\) begins another one"):
                call()
        with pytest.warns(RuntimeWarning, match="was lost; another one begins"):
            env.reset(seed=0)
        assert env.step(FINETUNE).reward == 1.0


def test_a_server_that_ends_loses_the_session(runtime: Runtime) -> None:
    with serving(runtime) as url:
        env = SealClient(url).sync()
        env.reset(seed=0)
    with pytest.raises((SessionLostError, ConnectionError, OSError)):
        env.step(FINETUNE)
    with pytest.raises(SessionLostError):
        env.state()
    env.close()


def test_an_action_of_any_length_is_an_outcome(address: str) -> None:
    with SealClient(address).sync() as env:
        env.reset(seed=0)
        for text in ("\U0001f600" * 3_000_000, "", "null", "\x00", "\ud800", '["\\ud800"]'):
            assert env.step(SealAction(text=text)).metadata["outcome"] == "not_json"


def test_a_step_without_an_episode_is_an_error_that_says_so(address: str) -> None:
    with SealClient(address).sync() as env:
        with pytest.raises(RuntimeError, match="reset it first"):
            env.step(FINETUNE)
        env.reset(seed=0)
        assert env.step(FINETUNE).done
        with pytest.raises(RuntimeError, match="the episode is over"):
            env.step(FINETUNE)
    refused = httpx.post(f"{address}/step", json={"action": {"text": ""}})
    assert (refused.status_code, "reset it first" in refused.json()["detail"]) == (400, True)


def test_sessions_beyond_the_limit_are_refused_and_ended_ones_make_room(address: str) -> None:
    envs = [SealClient(address).sync() for _ in range(4)]
    for env in envs[:3]:
        env.reset(seed=0)
    with pytest.raises(RuntimeError, match="CAPACITY_REACHED"):
        envs[3].reset(seed=0)
    for env in envs:
        env.close()
    with SealClient(address).sync() as env:
        assert env.reset(seed=0).observation.text


def test_web_pages_of_other_sites_are_refused_and_the_servers_own_are_not(address: str) -> None:
    for origin, status in (("https://example.org", 403), ("null", 403), (address, 200)):
        assert httpx.get(f"{address}/metadata", headers={"Origin": origin}).status_code == status
    for rebound in ("evil.example", f"evil.example:{address.rpartition(':')[2]}"):
        headers = {"Origin": f"http://{rebound}", "Host": rebound}
        assert httpx.get(f"{address}/metadata", headers=headers).status_code == 403
    for damaged in ("http://[", "http://[::1"):
        assert httpx.get(f"{address}/metadata", headers={"Origin": damaged}).status_code == 403
    with pytest.raises(InvalidStatus, match="403"), connect(f"ws{address[4:]}/ws", origin=Origin("http://evil.example")):
        pass
    with connect(f"ws{address[4:]}/ws", origin=Origin(address)) as socket:
        socket.send('{"type": "state"}')
        assert json.loads(socket.recv())["type"] == "state"


def test_a_timeout_that_is_a_bug_is_not_taken_for_the_servers_limit(address: str, gated: GatedInnerLoop) -> None:
    with pytest.MonkeyPatch.context() as patched, SealClient(address).sync() as env:
        patched.setattr(gated, "run", lambda _: (_ for _ in ()).throw(TimeoutError("the disk does not answer")))
        env.reset(seed=0)
        with pytest.raises(RuntimeError, match="the disk does not answer"):
            env.step(FINETUNE)


@pytest.mark.parametrize("host", ["a" * 70, "a..b", ""])
def test_a_host_that_is_no_address_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(SettingError, match=r"^host="):
        _bound(ServerSettings(host=host, port=0))


def test_the_second_of_two_servers_that_start_at_one_port_says_so() -> None:
    with _bound(ServerSettings(port=0)) as first:
        settings = ServerSettings(port=first.getsockname()[1])
        with _bound(settings) as second:
            first.listen()
            with pytest.raises(SettingError, match=rf"^port={settings.port} is not legal; expected one that is free"):
                _listen(second, settings, 1)


def test_the_generic_client_of_openenv_gets_the_same(address: str) -> None:
    with GenericEnvClient(address).sync() as env:
        env.reset(seed=0)
        result = env.step({"text": FINETUNE.text})
        with pytest.raises(RuntimeError, match="VALIDATION_ERROR"):
            env.step({"texts": "a field that there is not"})
    assert (result.reward, result.done, result.metadata["truncated"]) == (1.0, True, False)
