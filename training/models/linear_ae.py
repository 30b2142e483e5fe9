"""Linear autoencoder: with a Gaussian likelihood its optimum spans the subspace of PCA (Baldi and Hornik, 1989)."""

from training.models.model import Model
from training.objective import autoencoder

MODEL = Model(title="linear autoencoder", posterior="none", step=autoencoder)
