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
    tasks=32,
    seed=31,
    optimizer=replace(CLOSE.optimizer, steps=600, decay_share=0.0, checkpoint_every=50, inner_width=1536, time_share=0.2),
    episodes=EPISODES,
    stream=TextStreamSettings(reading=6, replies=8, documents=2, copies=3, lists=3, as_asked=True, seed=31),
)
SEVERAL = replace(
    TWO,
    seed=32,
    optimizer=replace(TWO.optimizer, steps=900, time_share=0.3),
    episodes=replace(EPISODES, max_steps=48, texts=64, passages=(0.15, 0.2, 0.2, 0.2, 0.0, 0.25), asked=48),
    stream=replace(TWO.stream, seed=32),
)
MANY = replace(
    SEVERAL,
    seed=33,
    optimizer=replace(TWO.optimizer, steps=1500, decay_share=0.6, time_share=0.5),
    episodes=replace(
        SEVERAL.episodes,
        max_steps=56,
        texts=128,
        texts_each=16,
        passages=(0.2, 0.15, 0.0, 0.25, 0.0, 0.0, 0.0, 0.4),
        asked=64,
    ),
    stream=replace(TWO.stream, replies=10, seed=33),
)
WIDE = {"two": TWO, "several": SEVERAL, "many": MANY}


def _tiny(settings: TextAdaptSettings) -> TextAdaptSettings:
    return replace(
        settings,
        tasks=3,
        optimizer=replace(settings.optimizer, steps=2, checkpoint_every=1, inner_width=400),
        episodes=replace(settings.episodes, max_steps=2, texts=8, asked=8),
        stream=TextStreamSettings(reading=1, replies=1, documents=1, questions=2),
    )


TINY = {name: _tiny(settings) for name, settings in WIDE.items()}
"""Two steps of each, to try them."""
