"""Clients of the service: blocking and awaited, call by call and over streams.

blocking          Client: arguments -> one result
awaited           AsyncClient: the same, awaited
blocking_streams  Client's long jobs; async_stream_client AsyncClient's
awaited_streams   the long jobs of an AsyncClient
endpoint          what both are told of a server, and remember of it
scalars           a caller's single values, checked
given             what a caller holds, of whichever library, as rows
description       Model message -> Model
calls             turns a call into requests, and their replies into one result
parts             splits a caller's rows so that requests fit the server's limits
stride            how many rows a part may hold, so that its answer comes in time
results           the replies to a call's parts -> one result
failures          a failed RPC -> CallError, or a pause before the next try
channel           target, credentials and options of a connection
targets           what a target names: a port, this machine; whether a proxy stands before it
conversation      what is sent, what was answered, what is sent again when a stream broke
samples           the rows of a SampleStream that are still to come
shared_stream     the concurrent calls of an AsyncClient over one stream
open_stream       one of them, from its opening to its end
"""
