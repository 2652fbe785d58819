"""verifiers: an environment as a taskset, with a harness for its policies. It comes with the extra `verifiers`.

A task's data and the finished traces of policies come in; prompts, and rewards by real updates, go out.
"""
