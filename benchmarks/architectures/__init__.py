"""Which architectures the inner loops run, found by running them.

Configurations of small models come in; docs/models.md goes out.
"""
