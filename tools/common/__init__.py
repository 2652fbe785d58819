"""Tools for every domain.

The training config and the end of the self-edit come in; the draft with them goes out.
"""
