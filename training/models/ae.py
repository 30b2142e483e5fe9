"""Autoencoder: reconstruction alone. Nothing holds its latents to a prior."""

from training.models.model import Model
from training.objective import autoencoder

MODEL = Model(title="autoencoder", posterior="none", step=autoencoder)
