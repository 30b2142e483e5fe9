"""Runs a plan's partitions: each from its rows to its file and its marker, whoever asks.

partition       one partition
worker          a process that is handed partitions, one after another
memory          how many workers the memory holds
messages        what a worker and its driver tell each other
workers         worker processes on this machine: started, watched, replaced
progress        what a run shows: rows, rates, time left
driver          hands out partitions until all are done, or the run has to stop
cluster_check   whether a Ray cluster answers
cluster         hands partitions to a Ray cluster
"""
