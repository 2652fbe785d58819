"""Talking to OpenAI-compatible servers: one client, one retry policy and one probe, for policies, judges and evaluation.

Request bodies come in; checked replies go out, or a ServerError that says what is wrong with the server.
"""
