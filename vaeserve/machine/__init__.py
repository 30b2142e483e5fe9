"""What of the machine this process may use.

cpus     how many processors
memory   how much memory is left, and how much a piece of work takes
cgroups  the control groups that limit both
"""
