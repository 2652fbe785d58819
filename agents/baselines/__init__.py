"""Agents without a model of their own: random and fixed self-edits, published ones, and an oracle.

What comes in is an observation with its info; what goes out is a self-edit that no learning has shaped.
"""
