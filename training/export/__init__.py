"""Networks -> ONNX graphs -> a model package, or a refusal.

package    graphs, probes and manifest -> a model package, or a refusal
priors     latents of training rows -> a mixture of Gaussians -> graphs to draw from and to score with
parity     ONNX Runtime's answers against PyTorch's
onnx_runner the doorway to ONNX Runtime
graphs     networks -> ONNX graphs
simplify   a graph -> a smaller one that answers the same
probes     rows to try a graph on, and PyTorch's answers for them
footprint  what memory a graph takes for a row
"""
