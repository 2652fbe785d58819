"""Policies behind an OpenAI-compatible server.

Chats and an address come in; the server's answers as actions, or policy failures, go out.
"""
