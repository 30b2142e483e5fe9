"""What a job has done, as its markers tell.

summary   figures over all partitions; `manifest.json` once all are done
verify    whether every row is there once, and every file as it was written
"""
