"""Pairs that were made elsewhere: torch modules or ONNX files -> a model package, or a refusal with its reason.

roles       what each of a module's or a graph's outputs is
spec        what the author says about a pair, for example in a TOML file
files       ONNX files -> graphs that are complete and valid
component   an original module or file, behind one interface
borders     casts, layouts and ranges between a component and a package; together they give the reference answers
join        the same borders, as nodes of the component's graph
likelihood  the likelihood of the family that the spec names
trial       rows to try a pair on, real or random, and the rows on which a graph's answers are off
checks      faults that a comparison with the graphs would not show
verdict     which side is off where a pair and its graph disagree
card        the README
bring       the steps above, in order: `export` for torch modules, `package_files` for ONNX files
cli         `vae package`
"""
