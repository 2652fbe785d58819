"""How the bundled models were trained; not part of the wheel: `python -m recipes.seal_tiny --out DIR`.

Generated tasks and the prompts of the environment come in; the weights in seal_env/models go out.
"""
