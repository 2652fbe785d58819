"""Text as tokens.

Chats, documents and queries come in; token ids, with what is supervised and where an answer ends, go out.
"""
