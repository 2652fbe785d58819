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
    for reward, expected in ((1.0, 0.0001), (0.0, 0.0002)):
        agent.learn([Trajectory("t", (Turn("", "", reward, {}),), False, {})])
        assert agent.learning_rate == expected
        assert f'"learning_rate": {expected}' in agent.act("", {"task": {"data": {"demonstrations": []}}})


@pytest.fixture
def tool_policy(tiny_models: dict[str, str], tmp_path: Path) -> str:
    """A model with random weights whose chat template has tool calls, and room for a prompt."""
    pytest.importorskip("trl")
    pytest.importorskip("tyro")
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from trl.chat_template_utils import qwen2_5_chat_template

    folder, tokenizer = tmp_path / "policy", AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.chat_template = qwen2_5_chat_template
    tokenizer.save_pretrained(folder)
    config = AutoConfig.from_pretrained(tiny_models["qwen2"], max_position_embeddings=16384)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TRL's own
@pytest.mark.parametrize("tools", [False, True], ids=["whole_actions", "tools_one_by_one"])
def test_grpo_trl_trains_with_real_updates(tools: bool, tool_policy: str, tmp_path: Path) -> None:
    example = runpy.run_path(os.fspath(EXAMPLES / "grpo_trl.py"))
    small = {"tasks": "mini-train:2", "steps": 1, "samples": 2, "out": tmp_path / "run"}
    chosen = {"policy": tool_policy, "max_new_tokens": 16} if tools else {"max_new_tokens": 160}
    (record,) = example["main"](example["Arguments"](**small, **chosen))
    assert ("tools/call_frequency" in record) == tools
    assert record["self_edit/failed"] == 0
    assert 0.0 <= record["rewards/self_edit/mean"] <= 1.0
    assert (record["self_edit/valid"] > 0) != tools  # the bundled model writes self-edits, random weights none
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").is_file()
