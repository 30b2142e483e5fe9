def open_source(addresses, spec, columns=(), keep=()):
    raise NotImplementedError
