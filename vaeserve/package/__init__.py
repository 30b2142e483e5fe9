"""A model package: what describes it, and how it is written and opened. No gRPC, no protobuf.

row_spec       what one row of a tensor is: its bytes, blank rows, whether an array fits
signatures     what every graph of a package takes and gives
manifest       describes a model package
probes         compares a graph's answers with the trainer's own
bounded        a stranger's files, read no further than they may be long
external_data  whether a graph takes weights that no checksum covers
directory      writes and opens one
"""
