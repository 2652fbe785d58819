"""Policies behind an OpenAI-compatible server.

What comes in are chats and an address; what goes out are the server's answers as actions, or policy failures.
"""
