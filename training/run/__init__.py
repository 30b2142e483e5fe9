"""A run from its start to its package, and the files that it leaves.

run          a run is begun, resumed, trained and packaged, by the steps below
ruled        the rule for pictures, asked about the data
beginning    the state that it begins with
fit          epochs from a checkpoint to the last, and a checkpoint after each
estimate     how long its steps will take, measured by a few
publish      a checkpoint -> a model package, by the steps below
description  what the package says of itself
report       lines that a run prints
progress     the same figures on a terminal, as a bar or in lines
work         how far reading and evaluating are
tensorboard  the same figures and pictures, for TensorBoard
journal      one line of figures an epoch -> metrics.jsonl
interrupts   SIGTERM ends a run as Ctrl-C does
lock         one process at a time in a run's directory
lengthen     more epochs for a run that has begun
checkpoint   the loop's state <-> one file
"""
