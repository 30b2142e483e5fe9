import pytest

from vaeserve.package.contents import Graph
from vaeserve.package.signatures import Signature, pair_signatures, prior_signatures


def test_only_a_gaussian_posterior_has_a_log_variance() -> None:
    data = ("uint8", (8, 8, 1))
    gaussian = pair_signatures(data, (2,), (), "gaussian")["encoder"]
    none = pair_signatures(data, (2,), (), "none")["encoder"]
    assert gaussian == Signature({"data": data}, {"mean": ("float32", (2,)), "log_variance": ("float32", (2,))})
    assert none.outputs == {"mean": ("float32", (2,))}


def test_a_prior_takes_its_noise_and_answers_latents() -> None:
    signatures = prior_signatures("mixture", 3, (2,))
    assert signatures["prior.mixture"].inputs == {"noise": ("float32", (3,)), "temperature": ("float32", ())}
    assert signatures["density.mixture"].inputs == signatures["prior.mixture"].outputs == {"latent": ("float32", (2,))}


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (Signature({"latent": ("float32", (2,))}, {"y": ("float32", ())}), None),
        (Signature({}, {}), "prior: must list"),
        (Signature({"latent": ("float32", (3,))}, {}), r"prior: latent must be float32 \[batch, 3\]"),
        (Signature({"latent": ("float32", (2,))}, {"z": ("float32", ())}), r"prior: z must be float32 \[batch\]"),
    ],
)
def test_a_graph_has_the_inputs_of_its_signature_and_at_least_its_outputs(
    signature: Signature, message: str | None
) -> None:
    tensor = {"name": "latent", "dtype": "float32", "shape": ("batch", 2)}
    outputs = [{"name": name, "dtype": "float32", "shape": ("batch",)} for name in ("y", "extra")]
    graph = Graph.model_validate(
        {"file": "g.onnx", "sha256": "a" * 64, "opset": 18, "inputs": (tensor,), "outputs": tuple(outputs)}
    )
    if message is None:
        return graph.check("prior", signature)
    with pytest.raises(ValueError, match=message):
        graph.check("prior", signature)


def test_codes_are_the_latents_numbers() -> None:
    encoder = pair_signatures(("uint8", (8, 8, 1)), (2,), (), "none", has_codes=True)["encoder"]
    assert encoder.outputs == {"mean": ("float32", (2,)), "codes": ("uint16", (2,))}
