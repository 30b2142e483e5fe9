"""Clients of the service, blocking and awaited.

A call goes verbs | awaited -> calls -> (channel) -> results:

    verbs             the methods of a blocking client, whoever answers: arguments -> one result
    blocking          Client: verbs asked of a server
    blocking_sender   one request of a Client, sent again when the server asks for that
    awaited           AsyncClient: the same, awaited
    endpoint          what a client was told about a server, and what it remembers of it
    options           the keywords of calls and of connections, each written down once
    calls             what each verb asks of a model, and the one result of its replies
    call              a prepared call: its requests, and how their replies are joined
    picture_sizes     which size of pictures a call is of, where a model takes many
    parts             splits a caller's rows so that requests fit the server's limits
    stride            how many rows a part may hold, so that its answer comes in time
    results           what a client gets, and how the replies to a call's parts become one of it
    description       Model message -> Model
    caller_rows       a caller's arrays, of whichever library, as rows
    scalars           a caller's single values, checked

What is made of calls:

    tiles             pictures in tiles: an approximate way with pictures that are too large

Over streams it goes *_streams -> conversation -> open_stream:

    blocking_streams  long jobs of a Client
    awaited_streams   long jobs of an AsyncClient
    stream_jobs       how each of a caller's batches becomes a call
    conversation      what is sent, what was answered, what is sent again when a stream broke
    samples           the rows of a SampleStream that are still to come
    shared_stream     the concurrent calls of an AsyncClient over one stream
    stream_messages   which calls travel together, and which arm of the oneof a call is
    open_stream       one stream, from its opening to its end

Both reach a server through:

    channel           target, credentials and options of a connection
    trace             the current trace, passed on
    targets           what a target must name, and whether a proxy stands before it
    failures          a failed RPC -> CallError, or a pause before the next try
"""
