"""The action language: its prompt, its compiler and numeric actions.

An action, text or parsed JSON from any agent, comes in; a SelfEdit, or what is wrong with the action, goes out. Nothing here
knows a task or a model.
"""
