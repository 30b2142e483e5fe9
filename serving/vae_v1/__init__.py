"""The protocol vae.v1: messages <-> rows.

servicer       one method per RPC: parse, wait, render
sample_stream  one request, any number of rows
call_stream    many calls over one connection: read no faster than answered, write what is ready together
replies        the replies of a stream: in what order they are written, and which travel together
stream_kinds   what the streams have of their own, and what they share
window         the bytes and calls that a stream has in flight
deadlines      one clock for many deadlines
rpcs           what each RPC does with a request: its parser, its batcher, its reply
images         images of calls, decoded and encoded on threads of their own
requests       messages -> rows that cannot be wrong
"""
