"""In come the demonstrations of a grid task; out go augmented training examples made from them."""
