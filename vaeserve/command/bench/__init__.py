"""The verb `vae bench`: puts load on a user's own server and says what came of it.

cli        options -> plan -> every point of it -> exit code
plan       what to do: the points, how long, under which deadline
inputs     a model's description, or a file -> serialised requests
processes  processes of their own that send calls; what they return, also when interrupted
loops      closed-loop and open-loop load in one process -> a log of calls
figures    log of calls -> rates, percentiles, errors; pure
report     figures -> table, notes, JSON
progress   how far a run has come: a bar on a terminal
"""
