"""A gradient step, and what it needs.

loop       gradient steps, epoch by epoch
epoch      the figures of an epoch
collected  joins the parts of one tensor
compiling  compiles a step, and checks its gradients against the original's
guard      which steps may be taken
inputs     the inputs of a step, and everything random in it
schedule   what changes from step to step
length     how many epochs a run has
state      all that changes while training
best       the best epoch by validation
memory     refuses networks that are too large
device     where a run computes, and at which precision
activity   which latent dimensions are in use
"""
