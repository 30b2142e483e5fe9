"""Variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014)."""

from training.models.model import Model
from training.objective import negative_elbo

MODEL = Model(
    title="variational autoencoder", posterior="gaussian", step=negative_elbo, draws=lambda config: config.samples
)
