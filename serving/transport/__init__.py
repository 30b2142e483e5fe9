"""gRPC, whatever the protocol.

server       the transport: limits of connections, health, and how it stops
services     what a protocol hands to the server: an answer for each of its methods
answering    what surrounds every method: reading, counting, request ids, held memory, status
listening    the port, or the Unix socket
reflection   which services there are, for tools that ask
front        takes calls over from gRPC, refuses or answers them, and stops
completions  what gRPC tells of operations, handled on the event loop
core         the parts of grpcio that this room is built on, which are not public
credentials  TLS: certificates shown and asked for
admission    what every call passes before its method: request id, token, number of calls
tokens       who may call
file_watch   files that are read again when they change
health       grpc.health.v1
reading      waits for messages, and gives up on those half read when they fill the memory
heap         how far the process has grown, and giving memory back
held         the memory that all callers take together
recording    begins and ends the spans of calls
status       errors -> gRPC status, the one total table
request_ids  what lines of the log about one call have in common
context      one call as gRPC has it: what its caller sent, and what is sent back
"""
