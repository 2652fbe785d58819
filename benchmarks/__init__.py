"""Measurements behind the figures in docs/, the model cards and the decisions: `python -m benchmarks.NAME --help`.

The package and generated tasks come in; tables, JSON documents and plots go out.
"""
