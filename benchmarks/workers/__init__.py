"""Workers measured: real ones on Ray, and simulated ones by the hundred."""
