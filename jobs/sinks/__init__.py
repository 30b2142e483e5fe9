"""A partition's answers -> its file.

sink         what every format has in common, and which one a job writes
layout       what the answers are called in a file, and what the file says of itself
parquet      one line a row, errors included
tensors      safetensors shards, as trainers of latent models read them
tensor_file  writes those, with the same bytes for the same content
torch_file   writes tensors as PyTorch saves them, without PyTorch
arrays       .npy
hashing      a file that is hashed while it is written
"""
