"""Tasks of one's own. A file of JSON lines comes in; a task set of text pairs goes out."""
