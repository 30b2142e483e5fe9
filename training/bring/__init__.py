"""Pairs that were made elsewhere: torch modules or ONNX files -> a model package, or a refusal that tells the reason.

    spec        what their maker says of them, for example in a TOML file
    roles       what each of a module's or a graph's answers is
    reference   the pair as it came, between data and latents as they are served: the answers to be met
    files       ONNX files -> models that are whole and sound
    borders     the same casts, layouts and ranges as nodes of the graphs
    scorer      the likelihood, of a family or of its maker's own
    trial       rows to try a pair on, given or drawn
    checks      what no comparison with the graphs would show
    card        the README
    bring       the steps above, in order: `export` for torch modules, `package` for ONNX files
    cli         `vae package`

A torch module is exported as it is, and from there both go the same way. What stands between a pair's own tensors and
those of a package is written twice, in PyTorch (reference) and in ONNX (borders): the parity gate holds the one against
the other.
"""
