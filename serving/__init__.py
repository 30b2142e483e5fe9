"""A gRPC service over a pair of ONNX graphs.

    request -> server -> servicer -> requests -> batcher -> engine (noise, then session) -> servicer -> response

    cli        the verb `vae serve`
    settings   every setting, from flags and VAE_... variables; the only reader of the environment
    app        puts the parts together, starts, and stops on a signal
    server     gRPC transport: port, reflection, limits
    health     grpc.health.v1, told and asked
    credentials  TLS: certificates shown and asked for
    door       what every call passes before its method: request id, token, number of calls
    tokens     who may call
    watched    files that are read again when they change
    servicer   one method per RPC: parse, wait, render
    in_flight  calls not answered yet, for an orderly stop
    requests   messages -> rows that cannot be wrong
    models     the models that are served, by name and version; loading one means proving it
    batcher    rows of many callers -> batches; knows rows and time, nothing else
    engine     a batch of rows -> a batch of answers
    rows       what callers want done with rows, and what becomes of them
    session    the only import of onnxruntime
    logs       the log, as text or JSON
    request_ids  what lines of the log about one call have in common
    status     errors -> gRPC status, the one total table
    cpus       how many processors this process may use

Each file imports only what is below it, and `vae`.
"""
