"""The command `vae`, and the verbs that need neither half.

cli         finds a verb, turns errors into one line
parser      the parser that every verb uses
completion  `vae completion`: a script for the user's shell
options     the options that client verbs share
verbs       encode, reconstruct
decoding    sample, decode
streaming   rows that they send over streams, a slice at a time, under a progress bar
inputs      what is read: files, folders or standard input
outputs     where results are written: files, or standard output
scores      scores of rows -> a table in a file
questions   info, health
health      whether a server is there and ready
info        descriptions for people
pictures    rows of images -> one PNG grid
bar         the progress bar of training, bench and long jobs
"""
