"""Graders of free-text answers.

A question, its gold answer and a model's answer come in; whether the answer is right goes out.
"""
