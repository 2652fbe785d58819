"""What a person sees of a run: live progress, tables, a summary."""
