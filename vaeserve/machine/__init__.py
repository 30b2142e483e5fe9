"""What of the machine this process may use, and how it uses it.

cpus       how many processors
memory     how much memory is left, and how much a piece of work takes
cgroups    the control groups that limit both
collector  Python's garbage collector, paused where it would only cost time
"""
