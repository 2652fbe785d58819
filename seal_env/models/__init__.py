"""The bundled models.

A name comes in; the paths of weights and card, and the settings that suit them, go out.
"""
