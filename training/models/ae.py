"""Autoencoder: reconstruction alone. Nothing pulls its latents towards a prior."""

from training.models.kind import Kind
from training.objective import autoencoder

KIND = Kind(title="autoencoder", posterior="none", step=autoencoder)
