"""Faults: what becomes of runs that are killed, servers that die, disks that are full and caches that are damaged.

    python -m benchmarks.faults                        # everything, some 40 minutes on two cores
    python -m benchmarks.faults --parts kills,disk
    python -m benchmarks.faults --scale 0.05           # a twentieth of it

Every case is a real command in a process of its own. It counts as held if the command, started again until it ends, has the
result of a run that nothing happened to: nothing lost, nothing doubled, no failure scored as a reward, no traceback, no
process that hangs. The document is written after each case, and the same command goes on from there.
"""
