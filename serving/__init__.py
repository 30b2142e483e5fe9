"""A gRPC service over a pair of ONNX graphs.

    request -> server -> servicer -> requests -> batcher -> engine (noise, then session) -> servicer -> response

    cli        the verb `vae serve`
    settings   every setting, from flags and VAE_... variables; the only reader of the environment
    app        puts the parts together, starts, and stops on a signal
    server     gRPC transport: port, health, reflection, limits
    servicer   one method per RPC: parse, wait, render
    streams    many calls over one connection: read no faster than answered, write what is ready together
    sample_stream  one request, any number of rows
    rpcs       what each RPC does with a request: its parser, its batcher, its reply
    in_flight  calls not answered yet, for an orderly stop
    requests   messages -> rows that cannot be wrong
    models     the models that are served, by name and version; loading one means proving it
    batcher    rows of many callers -> batches; knows rows and time, nothing else
    engine     a batch of rows -> a batch of answers
    rows       what callers want done with rows, and what becomes of them
    session    the only import of onnxruntime
    status     errors -> gRPC status, the one total table
    cpus       how many processors this process may use

Each file imports only what is below it, and `vae`.
"""
