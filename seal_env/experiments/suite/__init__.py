"""The standard suite: frozen tasks, seeds and budgets on which agents are compared.

An agent comes in; an entry of the leaderboard goes out, with the evidence for its numbers.
"""
