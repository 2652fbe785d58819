"""In comes an action, text or parsed JSON from any agent; out goes a SelfEdit, or what is wrong with it.

The action language, its prompt, its compiler and numeric actions are here; nothing here knows a task or a model.
"""
