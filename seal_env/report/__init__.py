"""Tables, plots and live progress of experiments.

Trajectories and the records of run folders come in; rich renderables, PNG and HTML files and tracked metrics go out.
"""
