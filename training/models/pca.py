"""Principal component analysis, exported as a linear pair."""

import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from training.likelihoods.gaussian import Gaussian
from training.models.kind import Kind
from training.networks.pair import Networks
from vaeserve.errors import TrainingError

FITTED_VALUES = 2**28  # maximum; as float32 and as doubles they take 3 GB


def fit(networks: Networks, train: Tensor) -> None:
    """Sets a linear pair to the training rows' principal components, and the likelihood's scale to the residual's.

    Of more than FITTED_VALUES values, rows are taken that are spread evenly over all.

    The scale is that of probabilistic PCA: the square root of the mean variance in the dropped directions (Tipping and
    Bishop, 1999, eq. 8). The pair's own standardisation whitens the latents.

    Raises:
        TrainingError: the rows or their values are fewer than the components, or the likelihood is not Gaussian.
    """
    likelihood = networks.decoder.likelihood
    encoder, decoder = (
        part.get_submodule(name) for part, name in ((networks.encoder, "body.1"), (networks.decoder, "body.0"))
    )
    if not isinstance(encoder, nn.Linear) or not isinstance(decoder, nn.Linear):
        raise AssertionError("the network linear is not linear. This is a bug.")
    if not isinstance(likelihood, Gaussian):
        raise TrainingError("--likelihood: pca is the linear model of gaussian data")
    count = max(1, min(len(train), FITTED_VALUES // train[0].numel()))
    if count < len(train):
        train = train[torch.arange(count) * len(train) // count]
    scaled = likelihood.scaled(train.to(likelihood.scale.device)).flatten(1).double().cpu().numpy()
    if encoder.out_features > min(scaled.shape):
        raise TrainingError(f"--latent-size: {min(scaled.shape)} principal components are all there are")
    pca = PCA(encoder.out_features, svd_solver="covariance_eigh").fit(scaled)
    components, mean = torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
    with torch.no_grad():
        encoder.weight.copy_(components)
        encoder.bias.copy_(-components @ mean)
        decoder.weight.copy_(components.T)
        networks.decoder.bias.copy_(mean.reshape(networks.decoder.bias.shape))
        likelihood.set_scale(float(pca.noise_variance_) ** 0.5)


KIND = Kind(title="principal component analysis", posterior="none", fit=fit)
