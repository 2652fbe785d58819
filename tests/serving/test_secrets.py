"""Keys and passwords: sent to the server that the settings name, and nowhere else to be found."""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import gymnasium
import pytest

from seal_env.agents.context import AgentContext
from seal_env.agents.lm.options import ServedPolicyOptions
from seal_env.agents.registry import make_agent
from seal_env.cli import main
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import (
    GraderError,
    ModelError,
    PolicyError,
    RunFolderError,
    SealError,
    SettingError,
    StorageError,
    TaskError,
    UnknownTaskError,
)
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.journal import Journal, write_whole
from seal_env.redaction import redacted, redacted_message, split_address
from seal_env.self_edits.prompt import example_action
from seal_env.serving.address import server_address
from seal_env.serving.failures import ServerError
from seal_env.settings import Settings
from seal_env.tasks.knowledge.grading.judge import JudgeGrader
from tests.helpers.raw_server import BODY, RawServer, ask, head, sends

KEY, ORGANISATION, PASSWORD = "sk-planted-key-0123", "org-planted-0123", "planted/pass:word"
CREDENTIALS = "someone:planted%2Fpass%3Aword@"
ENCODED = "c29tZW9uZTpwbGFudGVkL3Bhc3M6d29yZA=="
PLANTED = (KEY, ORGANISATION, PASSWORD, "planted%2Fpass", ENCODED, "someone:")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    monkeypatch.setenv("OPENAI_ORG_ID", ORGANISATION)


def planted_in(text: str) -> list[str]:
    return [secret for secret in PLANTED if secret in text]


class Echo(RawServer):
    """Says what it was sent, headers and all: as the model's answer, and every second time after the fifth as an error."""

    def __init__(self) -> None:
        super().__init__(self._echo)
        self.posts = 0

    def _echo(self, connection: socket.socket) -> None:
        request = self.seen[-1].decode()
        if request.startswith("GET"):
            connection.sendall(head() + b'{"data": [{"id": "m"}]}')
            return
        self.posts += 1
        if self.posts > 5 and self.posts % 2 == 0:
            connection.sendall(head("500 Oops") + json.dumps({"error": {"message": request[:2000]}}).encode())
        else:
            choice = {"message": {"content": request[:2000]}, "finish_reason": "stop"}
            connection.sendall(head() + json.dumps({"choices": [choice]}).encode())


def with_user(base_url: str) -> str:
    return base_url.replace("://", f"://{CREDENTIALS}")


@pytest.mark.integration
@pytest.mark.parametrize("place", [str, with_user])
@pytest.mark.parametrize("command", ["run", "eval"])
def test_no_file_and_no_output_of_a_command_has_them(
    command: str, place: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = ["--samples", "4"] if command == "eval" else ["--episodes", "2"]
    with Echo().running() as server:
        given = [
            "--base-url",
            place(server.base_url),
            "--policy-model",
            "m",
            "--retries",
            "0",
            "--out",
            str(tmp_path / "out"),
        ]
        usual = ["--env", "SEAL-ARC-Mini-v0", "--subset", "mini-train:1", "--max-turns", "1", "--agent", "openai_compatible"]
        main([command, *usual, *given, *count])
        assert f"Authorization: Basic {ENCODED}".encode() in server.seen[-1] or KEY.encode() in server.seen[-1]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = "".join(path.read_bytes().decode(errors="replace") for path in files)
    assert {"settings.toml"} < {path.name for path in files}
    assert "***" in written
    assert planted_in(written + "".join(capsys.readouterr())) == []


@pytest.mark.parametrize("given", [KEY, with_user("http://host/v1"), "--no-such=" + KEY])
def test_no_complaint_has_them(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", given]) == 2
    assert planted_in("".join(capsys.readouterr())) == []


def test_no_traceback_has_them() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(head("400 Bad") + json.dumps({"error": {"message": server.seen[-1].decode()}}).encode())

    server = RawServer(script)
    with server.running():
        for place in (server.base_url, with_user(server.base_url)):
            for model in (None, "m"):
                with pytest.raises(GraderError) as raised:
                    JudgeGrader(model, place, retries=0).grade("Who?", "Ann", "Bob")
                shown = "".join(traceback.format_exception(raised.value))
                assert "HTTP 400" in shown
                assert planted_in(shown) == []
                chain: BaseException | None = raised.value
                while chain is not None:  # also what a traceback would not print
                    assert planted_in(repr(chain) + repr(vars(chain))) == []
                    chain = chain.__context__


@pytest.mark.parametrize("before", [0, 20, 30, 45, 55, 90])
@pytest.mark.parametrize("form", ["body", "packing", "model"])
def test_no_part_of_a_key_is_left_where_a_message_is_cut(form: str, before: int) -> None:
    sent = "x" * before + KEY
    listed = json.dumps({"data": [{"id": sent}]}).encode()
    answer = {
        "body": head() + sent.encode(),
        "packing": head(Content_Encoding=sent) + BODY,
        "model": head("400 Bad") + b"{}",
    }[form]

    def script(connection: socket.socket) -> None:
        connection.sendall(head() + listed if server.seen[-1].startswith(b"GET") else answer)

    server = RawServer(script)
    with server.running(), pytest.raises(GraderError) as raised:
        JudgeGrader(None if form == "model" else "m", server.base_url, retries=0).grade("Who?", "Ann", "Bob")
    shown = "".join(traceback.format_exception(raised.value))
    assert not any(KEY[at : at + 6] in shown for at in range(len(KEY) - 5))


def test_no_log_has_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with RawServer(sends(head(), BODY)).running() as server:
        for place in (server.base_url, with_user(server.base_url)):
            ask(place)
    assert "HTTP" in caplog.text
    assert planted_in(caplog.text) == []


def test_no_repr_has_them() -> None:
    url = "http://someone:planted%2Fpass%3Aword@127.0.0.1:9/v1"
    settings = Settings.resolve(evaluator="vllm", evaluator_url=url)
    knowledge = Settings.resolve(domain="knowledge", grader="judge", grader_url=url)
    options = ServedPolicyOptions.checked(base_url=url)
    agent = make_agent("openai_compatible", AgentContext.of(gymnasium.make("SEAL-ARC-Mini-v0")), base_url=url)
    for each in (settings, knowledge, options, agent, vars(agent), settings.flat(), options.model_dump_json()):
        assert planted_in(repr(each)) == []
    for again in (settings, copy.deepcopy(settings), settings.model_copy()):
        assert server_address("evaluator_url", again.evaluator_url).credentials == ("someone", PASSWORD)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://someone:planted/pass:word@host/v1",
        "http://someone:planted/pass:word@host/v1",
        "someone:planted%2Fpass%3Aword@host",
        "http://someone:planted%2Fpass%3Aword@host/v1?x=1",
        "http://someone:planted%2Fpass%3Aword@host:port/v1",
        "http://someone:planted%2Fpass%3Aword@[::1/v1",
    ],
)
def test_address_that_is_none_is_told_without_them(address: str) -> None:
    with pytest.raises(SettingError, match="base_url=") as raised:
        server_address("base_url", address)
    assert planted_in("".join(traceback.format_exception(raised.value))) == []


def test_key_that_cannot_be_sent_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("sk-planted-key-0123\nHost: x", "sk-planted-key-0123-\xe9"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with RawServer(sends(head(), BODY)).running() as server, pytest.raises(ServerError) as raised:
            ask(server.base_url)
        assert planted_in("".join(traceback.format_exception(raised.value))) == []


def test_journals_and_whole_files_have_none(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").append({"said": [f"the key is {KEY}"], KEY: {"x": 1.5}})
    write_whole(tmp_path / "file", f"the key is {KEY}")
    assert Journal(tmp_path / "journal").read() == [{"said": ["the key is ***"], "***": {"x": 1.5}}]
    assert (tmp_path / "file").read_text() == "the key is ***"


def test_secrets_are_found_in_json_within_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret/of-mine")
    assert redacted(r'{"a": "\u00733cret\/of-mine"}') == '{"a": "***"}'
    assert redacted(r"a\u0020b \/ c") == r"a\u0020b \/ c"


SECRET: dict[str, tuple[str, str]] = {
    "a part of a list": ("API_KEYS", "k1-planted-01,k2-planted-02"),
    "a part of a connection": ("STORE_CONNECTION_STRING", "Endpoint=https://host;AccountKey=k2-planted-02"),
    "a header": ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer k2-planted-02"),
    "a line": ("SSH_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nk2-planted-02\n"),
    "without an underscore": ("PGPASSWORD", "k2-planted-02"),
    "a short name": ("GITHUB_PAT", "k2-planted-02"),
    "an address": ("DATABASE_URL", "postgres://someone:k2-planted-02@host/db"),
}


@pytest.mark.parametrize("kind", SECRET)
def test_secrets_of_the_environment_are_known_by_their_names(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*SECRET[kind])
    assert redacted("it is k2-planted-02.") == "it is ***."


SPELLED = ["s3cret/of-mine", 'half"and\\half', "sn\u00f6w-and-rain", "/aB3/dEfGhIjKlMnOpQ1rStUv", "q" * 20]


@pytest.mark.parametrize("key", SPELLED)
def test_secrets_are_found_however_a_text_spells_them(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", key)
    for spelling in (key, repr(key), json.dumps(key), json.dumps(key, ensure_ascii=False), quote(key, safe="")):
        assert re.fullmatch(r"it is (['\"]?)\*\*\*\1!", redacted(f"it is {spelling}!"))


WORDS = ["password", "information", "data/keys/main", "accuracy_after", "Paris", "20261126", "hunter2"]


@pytest.mark.parametrize("key", WORDS)
def test_words_and_numbers_are_secrets_only_where_the_text_says_so(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASS", key)
    for said in (f"the {key} is here, a key {key}", f"my{key}", f"key: {key}s", f"tokens {key}"):
        assert redacted(said) == said
    for said in ("DB_PASS={}", "'password': '{}'", '"api_key": "{}"', "API key provided: {}.", "authorization: Basic {}"):
        assert redacted(said.format(key)) == said.format("***")
    assert redacted({"api_key": key, "text": [key]}) == {"api_key": "***", "text": [key]}


@pytest.mark.parametrize("key", ["none", "EMPTY", "token", "lm-studio", "/home/someone/key", "~/keys/mine.pem"])
def test_placeholders_and_paths_are_no_secrets(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert redacted(f"a {key} b, key={key}") == f"a {key} b, key={key}"
    assert redacted_message("basic understanding at 12:30, a@b.c") == "basic understanding at 12:30, a@b.c"


def test_ordinary_words_of_an_address_stay_in_texts() -> None:
    assert split_address("http://admin:input@host/v1")[1] == ("admin", "input")
    assert redacted("the input grid") == "the input grid"
    assert redacted("admin:input, password=input") == "***, password=***"


@pytest.mark.parametrize("kind", [TaskError, ModelError, PolicyError, StorageError, RunFolderError, UnknownTaskError])
def test_no_error_has_them(kind: type[SealError]) -> None:
    error = kind(f"it said {KEY} at {with_user('http://host')}")
    assert planted_in(f"{error} {error!r} {error.args}") == []
    assert f"{SettingError('file', {'key': KEY}, 'none')}" == "file={'key': '***'} is not legal; expected none"


def test_no_warning_and_no_reason_of_a_bug_has_them() -> None:
    def reward(*_: object) -> float:
        raise RuntimeError(f"it said {KEY}")

    settings = Settings.resolve(subset="mini-train:1", reward=reward, device="cpu", max_examples=2)
    runtime = Runtime(settings)
    runtime.load()
    episodes = [Episode(runtime, runtime.taskset[runtime.taskset.task_ids[0]], seed) for seed in (0, 1)]
    with pytest.warns(RuntimeWarning, match=r"it said \*\*\*") as warned:
        steps = play(episodes, [example_action(runtime.tools)] * 2, BaseAnswerCache(9))
    shown = "".join(str(each.message) for each in warned) + "".join(step.info["reason"] for step in steps)
    assert planted_in(shown) == []
    assert steps[0].info["reason"] == "a bug: RuntimeError: it said ***"


@pytest.mark.parametrize("status", [None, "404 Not Found", "500 Oops"])
def test_no_message_about_the_hub_has_them(status: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(sends(head(status or "", Content_Length=0))).running() as server:
        address = with_user(server.base_url if status else "http://127.0.0.1:9")
        for name, value in {"ENDPOINT": address, "HF_HUB_OFFLINE": False}.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        with pytest.raises(ModelError) as raised:
            load_base_model("no-one/no-such-model", "cpu")
    shown = "".join(traceback.format_exception(raised.value))
    assert "***@127.0.0.1" in shown
    assert planted_in(shown) == []


def test_message_hides_users_and_keys_that_nobody_named() -> None:
    said = "proxy http://u:p4ss@proxy:3128 said Authorization: Bearer abc.def, then {'authorization': 'Basic dTpw'}"
    assert not any(secret in redacted_message(said) for secret in ("p4ss", "abc.def", "dTpw"))


# Where requests go


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_nothing_follows_a_redirect(status: str) -> None:
    with RawServer(sends(head(), BODY)).running() as other:
        away = sends(head(status, Location=f"{other.base_url}/chat/completions"))
        with RawServer(away).running() as server, pytest.raises(ServerError, match="redirects are not followed"):
            ask(server.base_url, retries=2)
        assert other.seen == []
        assert len(server.seen) == 1


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(sends(head("407 Proxy"))).running() as proxy, RawServer(sends(head(), BODY)).running() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://{CREDENTIALS}127.0.0.1:{proxy.port}")
        assert ask(server.base_url).text == "hello"
        assert proxy.seen == []
        with pytest.raises(ServerError, match="HTTP 407") as raised:
            ask("http://model.example/v1")
        assert raised.value.advice("base_url", "model") == "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        assert len(proxy.seen) == 1
    monkeypatch.setenv("HTTP_PROXY", f"gopher://{CREDENTIALS}host")
    with pytest.raises(SettingError, match="HTTP_PROXY") as refused:
        ask("http://model.example/v1")
    assert planted_in("".join(traceback.format_exception(refused.value))) == []


@pytest.mark.parametrize(
    ("base_url", "check"),
    [
        ("http://[::1]:9/v1", "whether a server runs there, and base_url"),
        ("http://b\u00fccher.invalid/v1", "the host in base_url"),
        ("http://no-such-host.invalid/v1", "the host in base_url"),
    ],
)
def test_host_that_does_not_answer_is_told(base_url: str, check: str) -> None:
    with pytest.raises(ServerError, match="no connection") as raised:
        ask(base_url)
    assert raised.value.advice("base_url", "policy_model") == f"Check {check}"


def test_server_without_tls_is_told() -> None:
    with RawServer(sends(head(), BODY)).running() as server, pytest.raises(ServerError, match="SSL") as raised:
        ask(server.base_url.replace("http:", "https:"))
    assert "begins with http://" in raised.value.advice("base_url", "policy_model")


def test_servers_on_this_machine_are_known() -> None:
    here = ("127.0.0.1:80", "127.8.0.1", "localhost", "[::1]:80", "0.0.0.0:80", "LOCALHOST:1")
    there = ("127.example", "10.0.0.1", "localhost.example", "[fe80::1]", "1.127.0.0")
    assert all(server_address("base_url", f"http://{host}/v1").is_loopback for host in here)
    assert not any(server_address("base_url", f"http://{host}/v1").is_loopback for host in there)


def test_address_is_split_from_its_user() -> None:
    assert split_address("https://tok3n@host/v1") == ("https://host/v1", ("tok3n", ""))
    assert split_address("http://host/v1@x") == ("http://host/v1@x", None)
