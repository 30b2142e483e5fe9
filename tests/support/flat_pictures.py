"""A spec of small colour pictures that a pair takes flat."""

from training.bring.spec import Spec, parse_spec

SETTINGS: dict[str, object] = {
    "name": "own",
    "kind": "image",
    "shape": [2, 2, 3],
    "latent_shape": 2,
    "layout": "flat",
    "scaled_to": [0, 1],
}


def spec(**changes: object) -> Spec:
    """Returns it, with other settings if told."""
    return parse_spec(SETTINGS | changes, "spec")
