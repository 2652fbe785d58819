"""The cache of results: jobs whose results are known are not run again.

Jobs come in and are reduced to keys; stored results, or those of the wrapped inner loop, go out.
"""
