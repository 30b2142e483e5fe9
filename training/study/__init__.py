"""Finished runs and packages: measured again, side by side, or as a curve.

cli      the verbs evaluate, compare and sweep
curves   learning curves of several runs
subject  a run or a package on disk, its data and its evaluation
sweep    runs with different betas: the curve of rate and distortion
"""
