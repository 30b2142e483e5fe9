"""A package in this process: what a client gets of a server, without the server.

    arguments -> requests (vaeserve.client) -> rows (vae_v1) -> batches -> engine -> replies (vae_v1) -> one result

local      Local: a client's methods
answering  a request -> its reply, at once
batches    rows of one request -> batches, some at the same time
"""
