"""Variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014)."""

from training.models.kind import Kind
from training.objective import negative_elbo

KIND = Kind(title="variational autoencoder", posterior="gaussian", step=negative_elbo, takes_samples=True)
