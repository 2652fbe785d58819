"""seal-tiny: the small language model shipped with the package, and the recipe that trained it.

Only paths here; the recipe (`python -m seal_env.embedded.train`) imports torch, this module does not.
"""

from pathlib import Path

MODEL_NAME = "seal-tiny"
MODEL_DIRECTORY = Path(__file__).parent / MODEL_NAME
