"""Adapters: the environments under the names and protocols of other packages.

Requests and rollouts of other packages come in; observations, rewards and traces go out.
"""
