"""How probable a row of data is, given the parameters that the decoder answers: one file a family.

    likelihood        what a family is: loss, expectation, parameters, and the graph, in one class
    bernoulli         values between 0 and a maximum, each as a probability
    binomial          counts out of a number of trials
    gaussian          real numbers, with a learned scale
    logistic          levels 0 to 255, with a learned scale for every value
    logistic_mixture  the same levels, by a mixture in which a pixel's colours depend on one another

To add a family, write a file with a subclass of `Likelihood` and add a line to FAMILIES (see docs/extending.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.likelihoods.likelihood import Likelihood
    from training.scaling import Scaling
    from vaeserve.package.data_spec import DataSpec

FAMILIES = {  # family: class in the file of that name, with _ for -; imported on demand, because it imports PyTorch
    "bernoulli": "Bernoulli",
    "binomial": "Binomial",
    "gaussian": "Gaussian",
    "logistic": "Logistic",
    "logistic-mixture": "LogisticMixture",
}


def likelihood_of(family: str, data: "DataSpec", scaling: "Scaling") -> "Likelihood":
    """Returns the likelihood of a family for such data.

    Args:
        family: one of FAMILIES.
        data: what a row is.
        scaling: how rows are scaled for the networks.

    Raises:
        TrainingError: the family does not fit the data; the message says what it needs.
    """
    file = family.replace("-", "_")
    family_class: type[Likelihood] = getattr(import_module(f"training.likelihoods.{file}"), FAMILIES[family])
    return family_class(data, scaling)
