"""Linear autoencoder: with a Gaussian likelihood its optimum spans the subspace of PCA (Baldi and Hornik, 1989)."""

from training.models.kind import Kind
from training.objective import autoencoder

KIND = Kind(title="linear autoencoder", posterior="none", step=autoencoder)
