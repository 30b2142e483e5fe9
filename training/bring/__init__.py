"""Pairs that were made elsewhere: torch modules or ONNX files -> a model package, or a refusal that tells the reason.

roles       what each of a module's or a graph's outputs is
spec        what its maker says of a pair, for example in a TOML file
files       ONNX files -> graphs that are whole and sound
component   a module or a file as it came, asked alike
borders     casts, layouts and ranges between a component and a package; both together are the answers to be met
join        the same borders, written as nodes of the component's graph
likelihood  of the family that the spec names
trial       rows to try a pair on, given or drawn, and those on which answers are missed
checks      what no comparison with the graphs would show
verdict     which side is off where pair and graph disagree
card        the README
bring       the steps above, in order: `export` for torch modules, `package_files` for ONNX files
cli         `vae package`
"""
