"""In come texts that the agent wrote about a source text; out go documents to learn, counted."""
