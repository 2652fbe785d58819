"""OpenEnv: an environment as a server with sessions, and its client.

Resets and actions of many sessions come in; observations with rewards go out. It comes with the extra `openenv`.
"""
