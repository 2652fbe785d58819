"""The reference inner loop: PEFT, one job after another, as plainly as possible.

A list of jobs comes in; the results that every faster inner loop must reproduce go out.
"""
