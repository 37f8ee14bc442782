"""Trials in parallel, by Ray Tune. Only this folder imports Ray.

Tune places the trials, starts their processes and restarts those that died. Results go to the store, not through Tune.
Reading order: session (Ray for the time of a sweep) · sweep (the whole) · start (of Ray) · placement (what a trial may
use) · described (what Ray's tools show) · trainable (one trial in its process) · relay (what Tune tells the sweep) ·
stop (how a sweep ends early) · nodes (of a cluster).
"""
