"""Results in a file: what survives, several processes at once, and what becomes of a file that is not as it should be."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from seal_env import store as stores
from seal_env.inner_loop.cache.results import RESULTS, decode_result, encode_result
from seal_env.store import Store
from seal_env.types import Answer, Outcome, UpdateResult

Results = Store[UpdateResult]
ANSWER = Answer("first", False, "one\n\u2028 文", -0.125)
RESULT = UpdateResult(Outcome.OK, "", (ANSWER,), (1.5, 0.1), 17, 2, {"train_seconds": 3.0}, Path("saved"))
NOT_FINITE = replace(
    RESULT,
    outcome=Outcome.DIVERGED,
    reason="not finite",
    answers_Q=(Answer("first", True, None, math.inf), Answer("second", True, "", -math.inf)),
    losses_S=(0.1, math.nan),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "cache.sqlite"


@pytest.fixture
def filled(path: Path) -> Results:
    """A store with a file that holds one result, under the key `key`."""
    store = Store(path, RESULTS)
    store.add({"key": RESULT})
    return store


def known(result: UpdateResult) -> UpdateResult:
    return replace(result, timings={}, adapter=None)


@pytest.mark.parametrize("result", [RESULT, replace(RESULT, answers_Q=(), losses_S=())])
def test_result_survives_the_round_trip(result: UpdateResult) -> None:
    assert decode_result(encode_result(result)) == known(result)


def test_numbers_that_are_not_finite_survive_the_round_trip() -> None:
    text = encode_result(NOT_FINITE)
    assert "NaN" not in text
    assert "Infinity" not in text
    again = decode_result(text)
    assert [answer.margin for answer in again.answers_Q] == [math.inf, -math.inf]
    assert again.losses_S[0] == 0.1
    assert math.isnan(again.losses_S[1])
    assert replace(again, losses_S=()) == replace(known(NOT_FINITE), losses_S=())


def test_every_field_but_timings_and_adapter_is_stored() -> None:
    """A field that is added to a result has to be kept too, and the schema raised."""
    names = {field.name for field in fields(UpdateResult)}
    assert names == {"outcome", "reason", "answers_Q", "losses_S", "tokens_trained", "micro_batch", "timings", "adapter"}
    assert {field.name for field in fields(Answer)} == {"query_id", "exact", "text", "margin"}


def test_results_outlive_the_store(filled: Results, path: Path) -> None:
    assert Store(path, RESULTS).find(["key", "nothing"]) == {"key": known(RESULT)}
    assert os.listdir(path.parent) == [path.name]


def test_no_file_is_made_by_looking(path: Path) -> None:
    assert Store(path, RESULTS).find(["key"]) == {}
    assert not path.parent.exists()


def test_memory_keeps_the_newest_results() -> None:
    store = Store(None, RESULTS, rows_in_memory=3)
    for index in range(5):
        store.add({f"{index}": RESULT})
    assert sorted(store.find([f"{index}" for index in range(5)])) == ["2", "3", "4"]


WRITER = """
import sys
from pathlib import Path
from seal_env.inner_loop.cache.results import RESULTS
from seal_env.store import Store
from seal_env.types import Outcome, UpdateResult
store, name = Store(Path(sys.argv[1]), RESULTS), sys.argv[3]
for index in range(int(sys.argv[2])):
    store.add({f"{name} {index}": UpdateResult(Outcome.OK, name, ()), f"both {index}": UpdateResult(Outcome.OK, "both", ())})
    assert store.find([f"{name} {index}"])[f"{name} {index}"].reason == name
"""


@pytest.mark.integration
@pytest.mark.parametrize("names", ["abc", pytest.param("abcdefgh", marks=pytest.mark.slow)])
def test_several_processes_write_at_once(path: Path, names: str) -> None:
    """From the moment at which none of them has made the file; a warning would end them."""
    each = 60 if names == "abc" else 125
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path), str(each)]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in names]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * len(names)
    keys = [f"{name} {index}" for name in (*names, "both") for index in range(each)]
    assert len(Store(path, RESULTS).find(keys)) == len(keys)


def test_writer_waits_for_another(filled: Results, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "WAIT_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert filled.find(["key"]) == {"key": known(RESULT)}
    with pytest.warns(RuntimeWarning, match=r"cache\.sqlite cannot be used: database is locked"):
        filled.add({"new": RESULT})
    other.rollback()
    other.close()
    filled.add({"new": RESULT})
    assert set(filled.find(["key", "new"])) == {"key", "new"}


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def damage_header(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


def damage_pages(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[100:] = b"\xff" * (len(contents) - 100)
    path.write_bytes(contents)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def set_old_schema(path: Path) -> None:
    execute(path, f"PRAGMA user_version = {RESULTS.version - 1}")


def set_newer_schema(path: Path) -> None:
    execute(path, f"PRAGMA user_version = {RESULTS.version + 1}")


def set_other_application(path: Path) -> None:
    execute(path, "PRAGMA application_id = 0")


def change_table(path: Path) -> None:
    execute(path, "ALTER TABLE entries RENAME COLUMN value TO content")


DAMAGED = [damage_pages, cut_short, change_table]
FOREIGN = [damage_header, set_old_schema, set_newer_schema, set_other_application]
UNUSABLE = [*DAMAGED, *FOREIGN]


@pytest.mark.parametrize("spoil", FOREIGN, ids=lambda spoil: spoil.__name__)
def test_file_of_somebody_else_is_left_as_it_is_and_one_beside_it_is_used(
    spoil: Callable[[Path], None], filled: Results, path: Path
) -> None:
    spoil(path)
    spoilt = path.read_bytes()
    beside = f"cache-v{RESULTS.version}.sqlite"
    with pytest.warns(RuntimeWarning, match=rf"is left as it is: .*; {beside} is used in its place"):
        assert filled.find(["key"]) == {}
    filled.add({"key": NOT_FINITE})
    with pytest.warns(RuntimeWarning, match="is left as it is"):
        assert Store(path, RESULTS).find(["key"])["key"].outcome is Outcome.DIVERGED
    assert path.read_bytes() == spoilt
    assert sorted(os.listdir(path.parent)) == sorted(["cache.sqlite", beside])


def test_versions_that_share_a_file_leave_each_other_s(filled: Results, path: Path) -> None:
    newer = replace(RESULTS, version=RESULTS.version + 1)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match=f"it has version {RESULTS.version}"):
            Store(path, newer).add({"key": NOT_FINITE})
        assert Store(path, RESULTS).find(["key"]) == {"key": known(RESULT)}
    assert sorted(os.listdir(path.parent)) == [f"cache-v{newer.version}.sqlite", "cache.sqlite"]


def test_lock_that_lasts_is_waited_for_and_warned_of_once(
    filled: Results, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "WAIT_SECONDS", 0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.warns(RuntimeWarning, match="database is locked") as warned:
        [filled.add({key: RESULT}) for key in ("one", "two", "three")]
    assert len(warned) == 1
    other.rollback()
    other.close()


def test_looking_whether_a_file_is_ours_makes_none(path: Path, filled: Results) -> None:
    Store(path.with_name("other") / "cache.sqlite", RESULTS).check()
    filled.check()
    assert os.listdir(path.parent) == [path.name]
    with pytest.raises(NotADirectoryError):
        Store(path / "cache.sqlite", RESULTS).check()


@pytest.mark.parametrize("spoil", DAMAGED, ids=lambda spoil: spoil.__name__)
def test_file_that_cannot_be_trusted_is_moved_aside_and_a_new_one_begun(
    spoil: Callable[[Path], None], filled: Results
) -> None:
    path = filled.path
    assert path is not None
    spoil(path)
    spoilt = path.read_bytes()
    with pytest.warns(RuntimeWarning, match=r"it is now called cache\.sqlite\.unusable-1, and a new one is begun"):
        assert filled.find(["key"]) == {}
    filled.add({"key": NOT_FINITE})
    assert filled.find(["key"])["key"].outcome is Outcome.DIVERGED
    assert path.with_name("cache.sqlite.unusable-1").read_bytes() == spoilt
    assert sorted(os.listdir(path.parent)) == ["cache.sqlite", "cache.sqlite.unusable-1"]


@pytest.mark.parametrize("spoil", UNUSABLE, ids=lambda spoil: spoil.__name__)
def test_read_only_cache_that_cannot_be_trusted_is_left_alone(spoil: Callable[[Path], None], filled: Results) -> None:
    path = filled.path
    assert path is not None
    spoil(path)
    spoilt = path.read_bytes()
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        assert Store(path, RESULTS, writable=False).find(["key"]) == {}
    assert path.read_bytes() == spoilt
    assert os.listdir(path.parent) == ["cache.sqlite"]


def test_every_unusable_file_is_kept(filled: Results, path: Path) -> None:
    for _ in range(2):
        damage_pages(path)
        with pytest.warns(RuntimeWarning):
            filled.add({"key": RESULT})
    assert sorted(os.listdir(path.parent)) == ["cache.sqlite", "cache.sqlite.unusable-1", "cache.sqlite.unusable-2"]


def test_file_that_another_process_has_replaced_stays(filled: Results, path: Path) -> None:
    """Found damaged, but by the time of moving it aside it is a new one."""
    assert filled._move_aside((0, 0), ValueError("damaged"))
    assert os.listdir(path.parent) == ["cache.sqlite"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET value = replace(value, '1.5', '1.4')",
        "UPDATE entries SET value = '{'",
        "UPDATE entries SET value = CAST(x'ff00fe' AS TEXT)",
        "UPDATE entries SET value = x'00'",
        "UPDATE entries SET digest = ''",
    ],
)
def test_damaged_row_is_dropped_and_the_others_stay(change: str, filled: Results, path: Path) -> None:
    filled.add({"other": RESULT})
    execute(path, f"{change} WHERE key = 'key'")
    with pytest.warns(RuntimeWarning, match="is damaged: 1 of its entries are dropped"):
        assert filled.find(["key", "other"]) == {"other": known(RESULT)}
    assert filled.find(["key", "other"]) == {"other": known(RESULT)}
    filled.add({"key": RESULT})
    assert set(filled.find(["key"])) == {"key"}


def test_row_under_another_key_is_damaged(filled: Results, path: Path) -> None:
    execute(path, "UPDATE entries SET key = 'moved'")
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert filled.find(["moved"]) == {}


WRITTEN = encode_result(RESULT)
FORGED = [
    *("[]", '"x"', "{}", '{"answers_Q": [{}]}', "[" * 100_000, "", "null", WRITTEN + " "),
    WRITTEN.replace('"ok"', '"fine"'),
    WRITTEN.replace('"ok"', '"engine_error"'),
    WRITTEN.replace("false", "0"),
    WRITTEN.replace("false", '"no"'),
    WRITTEN.replace('"first"', "1"),
    WRITTEN.replace('"first"', "null"),
    WRITTEN.replace("-0.125", '"-0.125"'),
    WRITTEN.replace("-0.125", "1e999"),
    WRITTEN.replace("1.5", "true"),
    WRITTEN.replace('"tokens_trained": 17', '"tokens_trained": 17, "more": 1'),
    WRITTEN.replace('"tokens_trained": 17, ', ""),
    WRITTEN.replace('"reason": ""', '"reason": "", "reason": "x"'),
]


@pytest.mark.parametrize("text", FORGED)
def test_row_that_is_no_result_is_dropped_whatever_its_digest(text: str, filled: Results, path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE entries SET value = ?, digest = ?", (text, stores._digest("key", text)))
    connection.close()
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert filled.find(["key"]) == {}


def test_damaged_row_of_a_read_only_cache_stays(filled: Results, path: Path) -> None:
    execute(path, "UPDATE entries SET digest = ''")
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert Store(path, RESULTS, writable=False).find(["key"]) == {}


def test_read_only_cache_that_is_not_there_is_a_warning(path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="cannot be used: unable to open"):
        assert Store(path, RESULTS, writable=False).find(["key"]) == {}
    assert not path.parent.exists()


def test_read_only_cache_in_a_folder_that_cannot_be_written(filled: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would make its log beside the file, unless it is told that nobody writes."""
    opened: list[str] = []
    connect = sqlite3.connect
    monkeypatch.setattr("sqlite3.connect", lambda place, **options: opened.append(place) or connect(place, **options))
    monkeypatch.setattr("os.access", lambda *_: False)
    assert Store(filled.path, RESULTS, writable=False).find(["key"]) == {"key": known(RESULT)}
    assert [place.partition("?")[2] for place in opened] == ["mode=ro&immutable=1"]
