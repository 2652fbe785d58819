"""Other sizes of seal-tiny: `large` for minutes of a GPU, on data made ahead, and `tiny` to try its stages on a CPU."""

from __future__ import annotations

from dataclasses import replace

from recipes.adapt import COMPOSED, SIMPLE, AdaptSettings
from recipes.pretrain import PretrainSettings
from recipes.self_edit_data import EpisodeSettings
from recipes.stage import TrainSettings
from recipes.stream import StreamSettings

Stages = dict[str, PretrainSettings | AdaptSettings]

SHAPE = TrainSettings(width=256, layers=8, heads=4, inner_width=832)
"""7.7 M parameters."""
PLAIN = StreamSettings(tasks=512, small_steps=0, wide_from=0, seed=10)
EPISODES = AdaptSettings(
    tasks=256,
    chunks=1,
    part=256,
    self_edits=16,
    synchronous=True,
    stream=StreamSettings(tasks=64, small_steps=0, wide_from=0, wide_share=0.5, seed=11),
    optimizer=replace(SHAPE, warmup=50, muon_rate=3e-3, adam_rate=2e-3, checkpoint_every=50),
)
LARGE: Stages = {
    "pretrain": PretrainSettings(
        replace(SHAPE, steps=4500, data_steps=900, warmup=200, checkpoint_every=250, time_share=0.45), PLAIN
    ),
    "simple": replace(
        EPISODES,
        seed=11,
        inner_weight=0.5,
        optimizer=replace(EPISODES.optimizer, steps=400, data_steps=80, decay_share=0.0, time_share=0.2),
        episodes=EpisodeSettings(families=SIMPLE),
    ),
    "composed": replace(
        EPISODES,
        seed=12,
        self_edit_weight=0.6,
        read_task=True,
        optimizer=replace(EPISODES.optimizer, steps=900, data_steps=180, decay_share=0.5, time_share=0.35),
        episodes=EpisodeSettings(families=SIMPLE + 4 * COMPOSED),
        stream=replace(EPISODES.stream, seed=12),
    ),
}
"""77 M tokens of plain sequences and 67,000 episodes of 84 M tokens in 41 MiB, each read up to five times."""


def _tiny(settings: PretrainSettings | AdaptSettings) -> PretrainSettings | AdaptSettings:
    shape = replace(settings.optimizer, width=32, layers=1, heads=2, inner_width=32)
    optimizer = replace(shape, steps=6, data_steps=4, warmup=2, checkpoint_every=3)
    stream = replace(settings.stream, tasks=2)
    if isinstance(settings, PretrainSettings):
        return replace(settings, optimizer=optimizer, stream=stream)
    return replace(settings, optimizer=optimizer, stream=stream, tasks=3, self_edits=1)


TINY: Stages = {name: _tiny(settings) for name, settings in LARGE.items()}
