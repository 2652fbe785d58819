"""The server's app."""
