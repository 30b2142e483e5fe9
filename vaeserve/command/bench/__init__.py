"""The verb `vae bench`: puts load on a user's own server and reports how it did.

cli            options -> plan -> every point of it -> exit code
option_values  the text of an option -> numbers within their range
plan           what to do: the points, how long, under which deadline
inputs         a model's description, or a file -> serialised requests
processes      worker processes that send the calls; what they return, also after an interrupt
loops          closed-loop and open-loop load in one process -> a log of calls
figures        log of calls -> rates, percentiles, errors; no I/O
report         figures -> table, notes, JSON
progress       how far a run has come: a bar on a terminal
"""
