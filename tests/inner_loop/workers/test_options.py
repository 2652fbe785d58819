"""Settings of workers, and what is said where they cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from seal_env.episodes.continual import ContinualRuntime
from seal_env.errors import MissingExtraError, SettingError
from seal_env.inner_loop import inner_loop_on, make_inner_loop, resolve_device
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.device import describe_device
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.model.outline import load_outline
from seal_env.inner_loop.workers import actor as worker
from seal_env.inner_loop.workers import loop, remote
from seal_env.inner_loop.workers.actor import InnerLoopActor, run_and_move
from seal_env.inner_loop.workers.loop import RayInnerLoop, _check_room, _fitting
from seal_env.inner_loop.workers.options import ActorOptions, WorkerModel, WorkerPlan
from seal_env.inner_loop.workers.order import Order, load_of
from seal_env.inner_loop.workers.remote import place, register_remote_inner_loop
from seal_env.settings import Settings
from seal_env.types import Example, LoraSpec, Message, Outcome, Query, Recipe, TrainingConfig, UpdateJob, UpdateResult

EXAMPLE = Example((Message("user", "1 2 3"), Message("assistant", "4 5 6")))
QUERY = Query("q", (Message("user", "1 2"),), "3")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": 2.0}, "workers"),
        ({"ray_address": "ray://head:10001"}, "ray_address"),
        ({"ray_address": "head"}, "ray_address"),
        ({"worker_options": "[]"}, "worker_options"),
        ({"worker_options": '{"num_cpu": 1}'}, "num_cpu"),
        ({"worker_options": '{"num_cpus": -1}'}, "num_cpus"),
        ({"worker_options": '{"max_restarts": 1}'}, "max_restarts"),
        ({"worker_options": {"scheduling_strategy": "ALL"}}, "scheduling_strategy"),
        ({"device": "cuda:1"}, "device"),
        ({"device": "cuda:all", "ray_address": "head:6379"}, "ray_address"),
        ({"inner_loop": "batched", "workers": 2}, "workers"),
        ({"inner_loop": "batched", "ray_address": "auto"}, "ray_address"),
        ({"inner_loop": "reference", "worker_options": '{"num_cpus": 1}'}, "worker_options"),
        ({"evaluator": "vllm"}, "evaluator"),
    ],
)
def test_a_setting_that_is_not_legal_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingError, match=f"^{field}="):
        Settings.resolve(**{"inner_loop": "ray", "device": "cpu"} | given)


@pytest.mark.parametrize("address", ["local", "auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_legal_settings_make_a_plan(address: str) -> None:
    used = Settings.resolve(inner_loop="ray", workers=4, ray_address=address, worker_options={"num_gpus": 0.5})
    assert used.worker_plan == WorkerPlan(4, address, '{"num_gpus": 0.5}')
    assert used.worker_plan.actor.as_given(0, 0.5) == {"num_cpus": 0, "num_gpus": 0.5}


@pytest.mark.parametrize("setting", [{"inner_loop": "ray"}, {"device": "cuda:all"}])
def test_workers_cannot_merge_what_was_learned(setting: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="workers have the base model alone"):
        ContinualRuntime(Settings.resolve(domain="arc", subset="mini-train:2", **setting))


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'seal-env\[ray\]'"):
        make_inner_loop("ray", "seal-tiny", "cpu")
    pretend_gpus(monkeypatch, 2)
    with pytest.raises(MissingExtraError, match=r"pip install 'seal-env\[ray\]'"):
        make_inner_loop("batched", "seal-tiny", "cuda:all")


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "gpus", "workers", "expected"),
    [
        ("batched", 1, None, ("cuda", "", WorkerPlan(1))),
        ("batched", 1, 2, ("cuda", "ray", WorkerPlan(2))),
        ("batched", 4, None, ("cuda", "ray", WorkerPlan(4))),
        ("reference", 4, 3, ("cuda", "ray", WorkerPlan(3))),
        ("ray", 1, None, ("cuda", "ray", WorkerPlan(1))),
    ],
)
def test_every_gpu_of_this_machine_gets_a_worker(
    monkeypatch: pytest.MonkeyPatch, name: str, gpus: int, workers: int | None, expected: object
) -> None:
    pretend_gpus(monkeypatch, gpus)
    assert place(name, "cuda:all", WorkerPlan(workers)) == expected
    assert resolve_device("cuda:all") == "cuda:all"


def test_workers_on_every_gpu_run_the_inner_loop_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    made: list[tuple[WorkerModel, WorkerPlan]] = []
    monkeypatch.setitem(remote.REMOTE_INNER_LOOPS, "ray", lambda *given: made.append(given) or object())
    make_inner_loop("reference", "seal-tiny", "cuda:all")
    assert made == [(WorkerModel("reference", "seal-tiny", "cuda"), WorkerPlan(2))]


def test_without_a_gpu_every_gpu_is_refused() -> None:
    with pytest.raises(SettingError, match="device='cuda:all' is not legal; expected 'auto' or 'cpu'"):
        make_inner_loop("batched", "seal-tiny", "cuda:all")


def test_a_device_of_workers_is_as_it_was_given() -> None:
    assert (resolve_device("cuda", "ray"), describe_device("cuda", "ray")) == ("cuda", "cuda, of each worker")


@pytest.mark.parametrize(
    ("cpus", "gpus", "count"), [(1, 0, 16), (4, 0, 4), (1, 1, 2), (1, 0.5, 4), (0, 0, 1), (99, 0, 1), (0, 9, 1)]
)
def test_as_many_workers_as_the_cluster_has_room_for(cpus: float, gpus: float, count: int) -> None:
    assert _fitting({"CPU": 16.0, "GPU": 2.0}, cpus, gpus) == count


def test_more_than_the_machine_has_is_refused() -> None:
    with pytest.raises(SettingError, match=r"'GPU 1 for each worker' is not legal; expected what this machine has: GPU 0"):
        _check_room({"CPU": 2.0}, {"CPU": 1, "GPU": 1})


def test_a_registered_name_is_taken() -> None:
    with pytest.raises(SettingError, match="inner_loop='ray'"):
        register_remote_inner_loop("ray", lambda model, plan: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("loop", ["batched", "reference"])
def test_an_outline_counts_and_names_layers_as_the_model_does(loop: str) -> None:
    outline, base = (inner_loop_on(each, loop) for each in (load_outline("seal-tiny"), load_base_model("seal-tiny", "cpu")))
    assert isinstance(outline, BatchedInnerLoop) == (loop == "batched")
    for say in (
        lambda each: each.count_tokens([EXAMPLE]),
        lambda each: each.max_tokens(Recipe(double_bos=True)),
        lambda each: each.adapted(LoraSpec(), "lora"),
        lambda each: each.adapted(LoraSpec(), "full"),
    ):
        assert say(outline) == say(base)


def test_a_load_counts_tokens_of_a_step_and_in_all() -> None:
    encoder = load_outline("seal-tiny").encoder
    length, query = encoder.count_tokens([EXAMPLE])[0], sum(load_of(job(queries_Q=(QUERY,)), encoder)) // 2
    assert load_of(job((EXAMPLE,) * 3), encoder) == (2 * length, 6 * length)
    assert load_of(job((EXAMPLE,) * 3, queries_Q=(QUERY,)), encoder) == (2 * length, 6 * length + query)
    assert load_of(job((EXAMPLE,)), encoder) == (length, 2 * length)


def job(examples: tuple[Example, ...] = (), **given: Any) -> UpdateJob:
    return UpdateJob(**{"examples_E": examples, "training": TrainingConfig(), "lora": LoraSpec(), "recipe": Recipe(),
                        "seed": 0, "queries_Q": (), **given})  # fmt: skip


class Writing:
    """Writes a file where a job is to be saved, as an earlier attempt may have done already."""

    def run(self, jobs: list[UpdateJob]) -> list[UpdateResult]:
        results = []
        for each in jobs:
            assert each.save_to is not None
            each.save_to.mkdir()
            (each.save_to / "weights").touch()
            results.append(UpdateResult(Outcome.OK, "", (), adapter=each.save_to))
        return results


class AnsweringSession:
    """Ends every order at once."""

    is_lost, ready, closed = False, 1, False

    def submit(self, order: Order) -> None:
        order.end("")

    def withdraw(self, order: Order) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self.closed = True


def test_what_is_saved_appears_whole_and_once(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for _ in range(2):
        (result,) = run_and_move(Writing(), [job(save_to=tmp_path / "here")])  # type: ignore[arg-type]
        assert result.adapter == tmp_path / "here"
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["here", "weights"]


def test_what_cannot_be_moved_is_an_error_and_not_lost(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    with pytest.raises(OSError, match="here"):
        run_and_move(Writing(), [job(save_to=tmp_path / "here")])  # type: ignore[arg-type]
    assert len(list(tmp_path.rglob("weights"))) == 1


def test_a_second_watch_takes_the_place_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_SECONDS", 0.01)
    actor = InnerLoopActor(WorkerModel("batched", "seal-tiny", "cpu"), threads=1)
    watches = [Thread(target=actor.watch, daemon=True) for _ in range(2)]
    for watch in watches:
        watch.start()
    watches[0].join(10)
    assert [watch.is_alive() for watch in watches] == [False, True]


def test_workers_are_started_again_after_ray_was_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[AnsweringSession] = []
    connected = [True]

    def start(_: RayInnerLoop) -> AnsweringSession:
        sessions.append(AnsweringSession())
        return sessions[-1]

    monkeypatch.setattr(loop, "import_ray", lambda: SimpleNamespace(is_initialized=lambda: connected[0]))
    monkeypatch.setattr(RayInnerLoop, "_start", start)
    workers = RayInnerLoop(None, None, WorkerModel("batched", "seal-tiny", "cpu"), WorkerPlan(1))  # type: ignore[arg-type]
    for connected[0] in (True, True, False):
        workers.run_order(Order((), ()))
    assert [session.closed for session in sessions] == [True, False]


def test_a_worker_says_what_its_results_depend_on_and_runs_jobs() -> None:
    actor = InnerLoopActor(WorkerModel("batched", "seal-tiny", "cpu"), threads=1)
    base = load_base_model("seal-tiny", "cpu")
    assert actor.load()["model"] == [base.fingerprint, base.max_tokens]
    assert actor.run([job(queries_Q=(QUERY,))])[0].outcome is Outcome.OK
    assert ActorOptions(num_cpus=2.5).threads == 2
