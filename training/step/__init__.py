"""A gradient step, and what it needs.

loop       gradient steps, epoch by epoch
compiling  whether a compiled one is what it was compiled from
guard      which of them may be taken
inputs     what a step is given; all that is random in it
schedule   what changes from step to step
state      all that changes while training
memory     which networks are too large
device     where a run computes, and in how many bits
"""
