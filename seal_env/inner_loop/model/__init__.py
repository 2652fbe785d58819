"""The frozen base model and the machine that it runs on.

A model's name and a device come in; a loaded model with its tokenizer, fingerprint and free memory goes out.
"""
