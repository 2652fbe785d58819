"""seal-tiny: the small language model shipped with the package, and the recipe that trained it.

The recipe (`python -m seal_env.embedded.recipe`) imports torch, this module does not.
"""

from seal_env.embedded_model import MODEL_DIRECTORY, MODEL_NAME

__all__ = ["MODEL_DIRECTORY", "MODEL_NAME"]
