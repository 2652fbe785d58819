"""The cache of results: jobs whose results are known are not run again.

Jobs come in; stored results, or those of the wrapped inner loop, go out. A job's key is a digest of its content.
"""
