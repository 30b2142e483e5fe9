"""Autoencoders of image diffusion -> model packages whose pictures have any size.

families    the classes of diffusers that are known, and their networks as a graph needs them
folder      the doorway to diffusers: a folder -> a module with its weights, or a refusal
draw        a graph that draws a latent -> the same, which answers what it would draw from
optimum     a folder of ONNX graphs as Optimum writes them -> the same, without the draw within the encoder
scaling     what a pipeline does to latents, from a configuration
borders     what lies between the networks' own tensors and those of a package, as nodes of its graphs
reference   the same once more, as pipelines compute it: the answers that the graphs must give
pair        an encoder and a decoder, all that the steps below need to know
sizes       the sizes of pictures that a package takes
pictures    pictures to try a pair on, given or made, at any size
trial       probes at several sizes, as many as memory and time allow
figures     how near the graphs' answers come, in cosines and decibels
prior       a Gaussian for each channel, fitted to the latents of pictures
card        the README
importing   the steps above, in order
cli         `vae import`
"""
