"""The protocol vae.v1: messages <-> rows.

servicer       the service: one answer for each of its RPCs
verbs          the RPCs that take rows; a new one is a file and a line here
encode         rows of data -> their posterior
decode         latents -> rows of data
sample         a prior -> new rows of data
reconstruct    rows of data -> the same rows decoded again, and scores
decoding       what decode, sample and reconstruct share
rpc            how any of them is answered: parse, queue, render
inputs         rows of data in a request: a tensor, or images
outputs        what a request may ask for, and the parts that responses share
images         images of calls, decoded and encoded on threads of their own
describe       a model that is served -> its message
call_class     interactive calls and bulk calls
sample_stream  one request, any number of rows
call_stream    many calls over one connection: reads no faster than it answers, writes together what is ready together
stream_calls   the calls of one stream that are in flight, each answered exactly once
stream_queueing  how the rows of a stream's call come to the batcher
replies        in what order a stream's replies are written, and which of them share a message
streams        what all streams share, and one call of a stream
flow_window    the bytes and calls that a stream has in flight
deadlines      one timer for many deadlines
"""
