"""Experiments: agents that are run and measured, policies that are trained, and the paper's tables.

An environment, an agent and settings come in; a run folder that can be resumed, and the tables of `seal_env.report`, go out.
"""
