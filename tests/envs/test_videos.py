"""Episodes as a video and in a window, by Gymnasium's wrappers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import seal_env  # noqa: F401 - registers the environments
from seal_env.envs.frames import BACKGROUND, FRAME, RIGHT, WRONG

pytestmark = pytest.mark.integration

GRIDS: tuple[str, dict[str, Any]] = ("SEAL-ARC-Mini-v0", {"max_examples": 4, "max_steps": 2})
PASSAGES = ("SEAL-Knowledge-v0", {"subset": "synthetic-eval:1", "default_num_epochs": 1})


def play(env: Any) -> list[Any]:
    """A frame of the task, and one of its answers."""
    env.reset(seed=0)
    begun = env.render()
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    return [begun, env.render()]


@pytest.mark.parametrize(("name", "settings"), [GRIDS, PASSAGES], ids=["grids", "passages"])
def test_episode_is_recorded_as_a_video(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    files = pytest.importorskip("moviepy.video.io.VideoFileClip", reason="moviepy is not installed")
    recorded = gymnasium.wrappers.RecordVideo(
        gymnasium.make(name, render_mode="rgb_array", **settings),
        str(tmp_path / "videos"),
        name_prefix="it",
        disable_logger=True,
    )
    frames = play(recorded)
    recorded.close()
    assert {frame.shape for frame in frames} == {(*FRAME, 3)}
    marks = [int((frame == np.array(colour)).all(axis=2).sum()) for frame in frames for colour in (RIGHT, WRONG)]
    assert marks[:2] == [0, 0]
    assert sum(marks[2:]) > 50
    with files.VideoFileClip(str(tmp_path / "videos" / "it-episode-0.mp4")) as video:
        assert tuple(video.size) == FRAME[::-1]
        assert abs(video.get_frame(0).astype(int) - frames[0]).mean() < 8


def test_episode_is_shown_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    pygame = pytest.importorskip("pygame", reason="pygame-ce is not installed")
    with pytest.warns(UserWarning, match="human"):
        env = gymnasium.make(GRIDS[0], render_mode="human", **GRIDS[1])
    assert play(env) == [None, None]
    surface = pygame.display.get_surface()
    assert surface.get_size() == FRAME[::-1]
    pixels = pygame.surfarray.array3d(surface)
    assert 0 < (pixels == np.array(BACKGROUND)).all(axis=2).sum() < 0.99 * FRAME[0] * FRAME[1]
    env.close()
