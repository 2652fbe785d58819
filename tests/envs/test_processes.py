"""Environments in several processes: Gymnasium's AsyncVectorEnv, forks, and what processes must not share."""

from __future__ import annotations

import copy
import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from safetensors import SafetensorError

from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.envs.shared_texts import SharedTexts
from seal_env.envs.spaces import PromptSpace
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, StorageError
from seal_env.forking import Lock, is_fork
from seal_env.inner_loop.cache.results import RESULTS
from seal_env.settings import Settings
from seal_env.store import Store
from seal_env.types import Outcome, UpdateResult

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # what is tested
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
write: Any = write_to_shared_memory
TEXTS = ("", "a" * 30, "文字 😀\n\x00 ä", "short")


def shared(texts: tuple[str, ...], space: PromptSpace) -> tuple[Any, SharedTexts]:
    """Memory with these texts, and the view of them."""
    memory: Any = create_shared_memory(space, n=len(texts))
    view: Any = read_from_shared_memory(space, memory, n=len(texts))
    for index, text in enumerate(texts):
        write(space, index, text, memory)
    return memory, view


def test_texts_in_shared_memory_are_those_that_were_written_last() -> None:
    memory, view = shared(TEXTS, PromptSpace(30))
    assert (tuple(view), len(view), view[-1], view[1:3]) == (TEXTS, 4, "short", TEXTS[1:3])
    before: Any = copy.deepcopy(view)
    write(PromptSpace(30), 1, "new", memory)
    assert view == ("", "new", *TEXTS[2:])
    assert before == TEXTS
    assert type(before) is tuple


def test_longest_text_of_the_widest_characters_fits() -> None:
    assert tuple(shared(("😀" * 10, "x"), PromptSpace(10))[1]) == ("😀" * 10, "x")


@pytest.mark.parametrize("text", ["x" * 11, "\ud800"])
def test_text_that_is_not_in_the_space_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not in PromptSpace\(10\)"):
        shared((text,), PromptSpace(10))


def test_index_beyond_the_texts_is_an_error() -> None:
    with pytest.raises(IndexError):
        shared(TEXTS, PromptSpace(30))[1][4]


def in_a_fork(work: Any) -> int:
    """The exit code of a forked process that does this work: 0 if it is true."""
    process = os.fork()
    if not process:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@needs_fork
def test_fork_finds_every_lock_free_whoever_held_it() -> None:
    lock, taken, done = Lock(), Event(), Event()

    def hold() -> None:
        with lock.held():
            taken.set()
            done.wait()

    def use() -> bool:
        with lock.held():
            return is_fork()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        taken.wait()
        code = in_a_fork(use)
        done.set()
    assert (code, is_fork()) == (0, False)


@needs_fork
def test_fork_keeps_a_lock_that_its_own_thread_holds() -> None:
    def work() -> bool:
        with lock.held():
            return True

    lock = Lock()
    with lock.held():
        assert in_a_fork(work) == 0
    with lock.held():
        pass


@needs_fork
def test_fork_waits_until_a_store_is_not_in_use(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache.sqlite", RESULTS)
    result = UpdateResult(Outcome.OK, "", ())
    busy = Event()

    def write() -> None:
        busy.set()
        for index in range(50):
            store.add({f"{index}": result})

    def add_and_find() -> bool:
        store.add({"fork": result})
        return "fork" in store.find(["fork"])

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        busy.wait()
        codes = [in_a_fork(add_and_find) for _ in range(5)]
        writing.result()
    assert codes == [0] * 5
    assert len(store.find([f"{index}" for index in range(50)])) == 50


@needs_fork
def test_threads_may_fork_at_once(tmp_path: Path) -> None:
    stores = [Store(tmp_path / f"{number}.sqlite", RESULTS) for number in range(3)]
    result = UpdateResult(Outcome.OK, "", ())

    def fork_and_write(number: int) -> list[int]:
        codes = [in_a_fork(lambda: not stores[number].find(["nothing"])) for _ in range(5)]
        stores[number].add({"key": result})
        return codes

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(fork_and_write, range(3))) == [[0] * 5] * 3
    assert [set(store.find(["key"])) for store in stores] == [{"key"}] * 3


@needs_fork
def test_fork_has_a_memory_of_results_of_its_own() -> None:
    store, result = Store(None, RESULTS), UpdateResult(Outcome.OK, "", ())
    store.add({"parent": result})

    def work() -> bool:
        before = store.find(["parent"])
        store.add({"child": result})
        return not before and set(store.find(["parent", "child"])) == {"child"}

    assert in_a_fork(work) == 0
    assert set(store.find(["parent", "child"])) == {"parent"}


def test_directories_of_adapters_differ_whichever_process_asks_first(tmp_path: Path) -> None:
    one, other = (Runtime(Settings.resolve(subset="mini-train:1", save_adapters=tmp_path / "new")) for _ in range(2))
    found = [runtime.adapter_directory("mini-train-0-0") for runtime in (one, other, one, copy.deepcopy(other))]
    assert [each and each.name for each in found] == [f"000{number}-mini-train-0-0" for number in range(4)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_disk_that_takes_no_adapters_is_no_setting(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Settings.resolve(subset="mini-train:1", save_adapters=tmp_path))

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.mkdir", refuse)
    with pytest.raises(StorageError, match=rf"0000-x' cannot be written: {os.strerror(code)}"):
        runtime.adapter_directory("x")


@pytest.mark.parametrize("method", ["lora", "full"])
def test_nothing_is_left_of_an_adapter_that_found_no_room(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    names = ("seal_env.inner_loop.model.adapter_files.save_file", "transformers.PreTrainedTokenizerBase.save_pretrained")
    for name in names:
        monkeypatch.setattr(name, refuse)
    env = SealEnv(subset="mini-train:1", save_adapters=tmp_path, max_examples=2, device="cpu", method=method)
    env.reset(seed=0)
    with pytest.raises(StorageError, match="0000-mini-train-0-0' cannot be written: No space left on device"):
        env.step(ARC.default_self_edit)
    assert list(tmp_path.rglob("*")) == []


def test_directory_of_adapters_that_cannot_be_written_to_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"save_adapters=.* is not legal; expected a folder that can be written to"):
        Runtime(Settings.resolve(subset="mini-train:1", save_adapters=tmp_path / "file")).adapter_directory("x")


SMALL = "device='cpu', subset='mini-train:4', max_examples=2, lora_rank=2, decode='never'"
ASYNC = f"""
import gymnasium, json, seal_env, sys
from seal_env.domains.arc import ARC

def make():
    import seal_env
    return gymnasium.make("SEAL-ARC-Mini-v0", max_turns=1, {SMALL})

if __name__ == "__main__":
    import torch
    alone = make()
    alone.reset(seed=3)
    alone.step(ARC.default_self_edit)
    torch.mm(torch.ones(800, 800), torch.ones(800, 800))
    assert torch.get_num_threads() == 2
    expected = [alone.reset(seed=3)[0], *alone.step(ARC.default_self_edit)[:3], alone.reset()[0]]
    many = gymnasium.vector.AsyncVectorEnv([make, make], context=sys.argv[1])
    texts, infos = many.reset(seed=3)
    seen, rewards, ends, _, infos = many.step((ARC.default_self_edit, "no self-edit"))
    assert list(infos["outcome"]) == ["ok", "not_json"]
    again = many.step(("", ""))[0]
    assert [texts[0], seen[0], rewards[0], ends[0], again[0]] == expected, (seen[0], rewards, expected)
    many.close()
    print("the same")
"""


def run_script(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "context",
    [
        pytest.param("fork", marks=[needs_fork, pytest.mark.integration]),
        pytest.param("spawn", marks=pytest.mark.slow),
        pytest.param("forkserver", marks=[needs_fork, pytest.mark.slow]),
    ],
)
def test_processes_give_what_one_environment_does(tmp_path: Path, context: str) -> None:
    """After the parent has trained on two threads, which a fork does not have."""
    (tmp_path / "script.py").write_text(ASYNC)
    assert run_script(tmp_path / "script.py", context) == "the same"


PICKLED = f"""
import json, pickle, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import gymnasium, seal_env
from seal_env.domains.arc import ARC

def finish(env):
    return [env.step(ARC.default_self_edit)[:3], env.reset()[0]]

if __name__ == "__main__":
    env = gymnasium.make("SEAL-ARC-Mini-v0", {SMALL})
    env.reset(seed=1)
    env.step(json.dumps(json.loads(ARC.default_self_edit)[:1]))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(finish, env).result()
    assert there == finish(env), there
    print("the same")
"""


@pytest.mark.slow
def test_environment_goes_on_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PICKLED)
    assert run_script(tmp_path / "script.py") == "the same"


FORKED = f"""
import gc, os, sys
import seal_env
from seal_env.domains.arc import ARC
from seal_env.envs.continual_env import SealContinualEnv

env = SealContinualEnv(domain="arc", sequence=2, max_turns=1, {SMALL})
env.reset(seed=0)
env.step(ARC.default_self_edit)
mine, before = env.runtime.scratch, env.model.fingerprint
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        _, _, ended, truncated, info = env.step(ARC.default_self_edit)
        assert (ended, truncated, info["merged"]) == (True, False, True), info["reason"]
        folder = env.runtime.scratch
        assert folder != mine
        del env
        gc.collect()
        assert not folder.exists()
        sys.exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0], codes
assert mine.is_dir() and env.model.fingerprint == before
env.step(ARC.default_self_edit)
print("apart")
"""


@needs_fork
@pytest.mark.slow
def test_forks_of_a_continual_environment_go_their_own_ways(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(FORKED)
    assert run_script(tmp_path / "script.py") == "apart"
