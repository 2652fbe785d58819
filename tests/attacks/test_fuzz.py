"""Some of the actions of `benchmarks.hostile_actions` in every environment: none may raise. The benchmark plays them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hostile_actions import main, make_env, play
from benchmarks.hostile_kinds import KINDS
from seal_env.errors import MissingExtraError
from seal_env.registration import environments

EACH = 8
"""Actions of each kind."""


@pytest.mark.parametrize("environment_id", environments())
def test_no_hostile_action_raises_and_the_space_takes_what_the_step_does(environment_id: str) -> None:
    try:
        env = make_env(environment_id)
    except MissingExtraError as error:
        pytest.skip(str(error))
    found = play(env, 1, range(EACH * len(KINDS)))
    assert (found.raised, found.disagreed) == ([], [])
    assert len(found.slowest) == len(KINDS)
    assert found.outcomes["ok"] > EACH


def test_the_benchmark_goes_on_from_its_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--actions", "13", "--envs", "SEAL-Custom-v0", "--json", str(tmp_path / "fuzz.json")]
    for lines in (1, 0):
        with pytest.raises(SystemExit, match="0"):
            main(command)
        said = capsys.readouterr().out
        assert said.count("SEAL-Custom-v0 0-13") == lines
        assert "13 actions, 0 exceptions" in said
