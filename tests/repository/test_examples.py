"""The examples run as they are shown."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_own_agent_is_paid_for_three_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    trajectories = runpy.run_path(os.fspath(EXAMPLES / "own_agent.py"))["main"]()
    assert [trajectory.info["outcome"] for trajectory in trajectories] == ["ok"] * 3
    assert all(0.0 <= trajectory.reward <= 1.0 for trajectory in trajectories)
    assert capsys.readouterr().out.count("reward ") == 3


def test_own_agent_raises_its_learning_rate_after_a_failure_only() -> None:
    from seal_env.agents.base import Trajectory, Turn

    agent = runpy.run_path(os.fspath(EXAMPLES / "own_agent.py"))["DoublingAgent"]()
    for reward, expected in ((1.0, 0.001), (0.0, 0.002)):
        agent.learn([Trajectory("t", (Turn("", "", reward, {}),), False, {})])
        assert agent.learning_rate == expected
        assert f'"learning_rate": {expected}' in agent.act("", {"task": {"data": {"demonstrations": []}}})
