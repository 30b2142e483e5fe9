"""A gRPC service over pairs of ONNX graphs.

    request -> transport -> vae_v1 -> batching -> engine (noise, then session) -> vae_v1 -> response

    cli          the verb `vae serve`
    tune         the verb `vae tune`
    app          puts the parts together, starts, and stops on a signal
    local        a package in this process, without a server: `vaeserve.Local`
    telemetry    what the service tells of itself: metrics, pages over HTTP, and the log
    vae_v1       the protocol vae.v1: messages <-> rows
    transport    gRPC, whatever the protocol
    models       what is served, and how a package comes to be served
    batching     rows of many callers -> batches
    engine       a batch of rows -> a batch of answers

What all of them use:

    tracing      the traces that calls belong to, and spans
    in_flight    calls that have arrived and are not answered yet
    interrupt    how a batch that nobody wants any more is stopped
    turns        how much of a turn of the event loop short pieces of work may take
    tally        what is counted
    settings     every setting, from flags and VAE_... variables
"""
