"""`mini`: small generated tasks in the style of ARC, grids up to 4x4.

A split, a seed and an index come in; a rule and a task that demonstrates it go out.
"""
