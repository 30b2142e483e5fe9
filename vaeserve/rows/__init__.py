"""Rows of data and latents: as arrays, as messages, as images; their noise and their posterior.

arrays         arrays of rows: joined, and shortened to float16
tensors        Tensor message <-> array; parsing is the validation
wire           messages with tensors -> their bytes on the wire, in one copy
noise          (purpose, seed, row) -> standard normals
quantiles      quantiles of the standard normal distribution, the same bits everywhere
posterior      draws from a posterior, and its KL
codes          level numbers of discrete latents -> latents
image_headers  what an image's header says, read before anything is decoded
size_fit       how a picture is brought to a size that a model of many sizes takes
image_checks   whether an image fits a model, by its header
images         encoded images <-> rows of an image model
"""
