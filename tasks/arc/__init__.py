"""Few-shot tasks of the Abstraction and Reasoning Corpus (ARC): grids, wording, training sets, evaluation."""
