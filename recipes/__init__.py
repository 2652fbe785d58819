"""How the bundled models were trained; not part of the wheel. `python -m recipes.seal_tiny --out DIR` trains seal-tiny from scratch."""
