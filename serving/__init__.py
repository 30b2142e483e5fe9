"""A gRPC service over pairs of ONNX graphs.

    request -> server -> servicer -> requests -> batcher -> engine (noise, then session) -> servicer -> response

The commands, and what lives as long as the process:

    cli            the verb `vae serve`
    tune           the verb `vae tune`
    app            puts the parts together, starts, and stops on a signal
    metrics        what was counted, for Prometheus; the only import of prometheus_client
    http_port      pages over HTTP, for metrics and health
    reloading      brings what is served in line with what the repository holds

A call:

    server         gRPC transport: limits of connections, health, and how it stops
    listening      the port, or the Unix socket
    reflection     what services there are, for tools that ask
    methods        tells gRPC which methods there are, and answers calls of others
    credentials    TLS: certificates shown and asked for
    door           what every call passes before its method: request id, token, number of calls
    tokens         who may call
    watched        files that are read again when they change
    health         grpc.health.v1
    servicer       one method per RPC: parse, wait, render
    sample_stream  one request, any number of rows
    streams        many calls over one connection: read no faster than answered, write what is ready together
    replies        the replies of a stream: in what order they are written, and which travel together
    stream_kinds   what the streams have of their own, and what they share
    window         the bytes and calls that a stream has in flight
    alarm          one clock for many deadlines
    reading        waits for messages, and gives up on those half read when they fill the memory
    heap           how far the process has grown, and giving memory back
    held           the memory that all callers take together
    rpcs           what each RPC does with a request: its parser, its batcher, its reply
    in_flight      calls not answered yet, for an orderly stop
    images         images of calls, decoded and encoded on threads of their own
    models         the models that are served, by name and version
    requests       messages -> rows that cannot be wrong

A model:

    repository     finds packages below a directory, and notices changes
    limited        loads on threads of their own, and what becomes of one that takes too long
    loading        loading a model means proving it
    proof          whether the graphs answer as the trainer's did, in the batches that will be served
    exactness      whether a row's bits depend on its batch
    execution      how a model's graphs are run: as told, as known, or as measured
    tuning         measures graphs with several numbers of threads and batch sizes

A batch:

    batcher        rows of many callers -> batches; knows rows and time, nothing else
    room           where calls wait until there is room for them
    executor       runs batches, gives every call its own answer
    line           the calls that wait, in two classes, and how a batch is made of them
    device         the slots that batches run in, and the threads that run them
    front          whether calls come in crowds, and the turns that bring one together
    turns          how much of a turn of the event loop short pieces of work may take
    pace           how long batches take, and when waiting rows are likely to be answered
    engine         a batch of rows -> a batch of answers
    rows           what callers want done with rows, and what becomes of them
    session        the only import of onnxruntime
    interrupt      how a batch that nobody wants any more is stopped

What all of them use:

    tally          what is counted
    status         errors -> gRPC status, the one total table
    logs           the log, as text or JSON
    request_ids    what lines of the log about one call have in common
    cpus           how many processors this process may use
    settings       every setting, from flags and VAE_... variables; the only reader of the environment

Each file imports only what is below it, and `vae`.
"""
