"""Runs and packages that are done: measured anew, side by side, or as a curve.

cli      the verbs evaluate, compare and sweep
subject  a run or a package on disk, its data and its evaluation
sweep    runs that differ in beta: the curve of rate and distortion
"""
