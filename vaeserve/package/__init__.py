"""A model package: what describes it, and how it is written and opened. No gRPC, no protobuf.

directory       opens a package, or writes a whole one at once
signing         signs a package, and verifies who signed it
swap            swaps two directories
manifest        the description of a package, kept in its manifest.json
contents        what the manifest says of the files: graphs, priors, probes, and the checks that they passed
data_spec       what the manifest says of one row of data
row_spec        one row of any tensor, or rows of many sizes: their bytes, blank rows, whether an array fits
sizes           the heights and widths that pictures may have where they are free
footprints      how much memory a graph takes for a row, by the size of its picture
signatures      what every graph of a package takes and gives
probes          compares a graph's answers with the trainer's own
external_data   whether a graph takes weights that no checksum covers
bounded         files from outside, read up to a maximum size
"""
