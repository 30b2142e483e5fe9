"""The command `vae`, and the verbs that need neither half of the project: one file a verb.

cli           finds a verb, and turns errors into one line
parser        the parser that every verb uses
options       the options that client verbs share
setting_flags flags of a settings record: of `vae train` and `vae serve`
sample        `vae sample`: seed and row numbers -> rows
encode        `vae encode`: rows -> latents
decode        `vae decode`: latents -> rows
reconstruct   `vae reconstruct`: rows -> how usual each is for a model
inputs        what they read: files, folders or standard input
streaming     rows sent over streams, a slice at a time, under a progress bar
outputs       where they write: files, or standard output
scores        scores of rows -> a table in a file
pictures      rows of images -> one PNG grid
info          `vae info`: a package, or what a server serves
descriptions  packages and models in aligned lines
signing       `vae sign` and `vae verify`: who made a package
health        `vae health`: whether a server is ready
health_check  the question that it asks, through gRPC's health protocol
bench         `vae bench`: load on a server, and its latencies
completion    `vae completion`: a script for a shell
bar           the progress bar of training, bench and client verbs
"""
