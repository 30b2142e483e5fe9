"""The protocol vae.v1: messages <-> rows.

servicer       one method per RPC: parse, wait, render
sample_stream  one request, any number of rows
call_stream    many calls over one connection: reads no faster than it answers, writes together what is ready together
stream_calls   the calls of one stream that are in flight, each answered exactly once
replies        in what order a stream's replies are written, and which of them share a message
streams        what all streams share, and one call of a stream
window         the bytes and calls that a stream has in flight
deadlines      one timer for many deadlines
rpcs           what each RPC does with a request: its parser, its batcher, its reply
images         images of calls, decoded and encoded on threads of their own
requests       messages -> rows that cannot be wrong
"""
