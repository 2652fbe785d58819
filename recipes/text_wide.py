"""Further stages of seal-tiny-text for many passages in one update: wider MLPs, adapters of rank 32, up to 8 passages.

With one passage an adapter need not store whom a fact is about; with many, questions are answered with the facts of another
passage unless the base model lets adapters store both (docs/decisions/013-many-passages.md). So the number of passages
grows from stage to stage.
"""

from __future__ import annotations

from dataclasses import replace

from recipes.text_adapt import CLOSE, TextAdaptSettings, TextEpisodeSettings
from recipes.text_stream import TextStreamSettings
from seal_env.types import LoraSpec

EPISODES = TextEpisodeSettings(
    (3e-4, 2e-3),
    epochs=(2, 6),
    batch_sizes=(4, 8),
    max_steps=32,
    texts=48,
    bare=0.15,
    passages=(0.2, 0.5, 0.3),
    asked=32,
    as_asked=True,
)
TWO = TextAdaptSettings(
    lora=LoraSpec(32, 512.0),
    seed=31,
    optimizer=replace(CLOSE.optimizer, steps=500, decay_share=0.0, checkpoint_every=10, inner_width=1536),
    episodes=EPISODES,
    stream=TextStreamSettings(reading=4, replies=5, documents=1, copies=2, lists=2, as_asked=True, seed=31),
)
SEVERAL = replace(
    TWO,
    tasks=6,
    seed=32,
    optimizer=replace(TWO.optimizer, steps=600),
    episodes=replace(EPISODES, max_steps=48, texts=64, passages=(0.15, 0.2, 0.2, 0.2, 0.0, 0.25), asked=48),
    stream=replace(TWO.stream, seed=32),
)
MANY = replace(
    SEVERAL,
    seed=33,
    optimizer=replace(TWO.optimizer, steps=1000, decay_share=0.6),
    episodes=replace(SEVERAL.episodes, texts=96, passages=(0.2, 0.15, 0.0, 0.25, 0.0, 0.0, 0.0, 0.4), asked=64),
    stream=replace(TWO.stream, replies=8, seed=33),
)
WIDE = {"two": TWO, "several": SEVERAL, "many": MANY}
