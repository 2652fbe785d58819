"""Agents without a model of their own: random and fixed self-edits, published ones, and an oracle.

An observation and its info come in; a self-edit that no learning has shaped goes out.
"""
