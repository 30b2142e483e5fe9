"""Evidence: what a pair is worth, measured on the graphs that are served, through ONNX Runtime.

held_out    figures of a pair that is still PyTorch's
served      a pair's graphs as callables on arrays
"""
