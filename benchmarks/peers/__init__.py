"""Triton and mosec beside `vae serve`: the same decoders, the same load, one core for the server.

    environments   a Python environment of each peer, made once
    graphs         the two decoders as plain ONNX files, and as packages
    make_graphs    exports them with random weights
    joined         runs a decoder on the rows of several calls at once, in the peers' processes
    bare           runs it in a loop, with no server
    dialects       how a server is asked, and what it answers
    processes      a peer's server as a process on the server's core
    ours           `vae serve`
    kserve         the messages that Triton takes and answers
    triton         Triton, and how it is asked
    triton_model   what its Python backend runs
    mosec_rig      mosec, and how it is asked
    mosec_server   what its worker runs
    check          answers beside ONNX Runtime's
    served         a server that is started again where it ended by itself
    cases          which calls are compared, and their loads
    unary          one-row calls from one Python process
    results        tables, ratios and targets

`python -m benchmarks.peers` runs it. What each side does and does not do is in benchmarks/README.md.
"""
