"""Workers: inner loops in processes of their own, on one machine or on many, behind the protocol of one inner loop.

Update jobs come in; they go to workers in batches, and results, in the order of the jobs, go out, whatever dies on the way.
"""
