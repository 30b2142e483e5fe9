"""Networks -> ONNX graphs -> a model package, or a refusal.

package    graphs, probes and manifest -> a model package, or a refusal
precision  the gate of half precision: graphs -> the same in float16, or a refusal
half       a graph in float16, and what a device with float16 kernels answers
priors     latents of training rows -> a mixture of Gaussians -> graphs to draw from and to score with
parity     ONNX Runtime's answers against PyTorch's
onnx_runner the doorway to ONNX Runtime
graphs     networks -> ONNX graphs
norms      group norms of large pictures, as accurate as PyTorch's
interleave pixel shuffles of rows, by moving whole runs of channels
simplify   a graph -> a smaller one that answers the same
probes     rows to try a graph on, and PyTorch's answers for them
footprint  what memory a graph takes for a row
"""
