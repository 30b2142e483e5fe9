"""Rows of many callers -> batches. Knows rows, their keys and weights, and time; what a key means it does not know.

batcher        the whole of it: enqueue -> admission -> line -> forming -> executor
admission      which calls may queue, which wait until there is room, and which are refused
waiting_room   where calls wait for room, one behind the other
forming        when a free device starts the next batch, and what that batch holds
gathering      whether calls come in crowds, and the turns that bring a crowd together
line           the calls that wait, in two classes, and how the rows of a batch are chosen from them
bulk_share     what bulk gets while interactive calls wait too
lanes          the calls of one class
lane           the calls of one class and one key, in the order of their turns
load           a number of rows of one weight, and how many of them a batch holds
batch          the pieces of calls that run together
batch_spans    what the spans of recorded calls hear of their batches
executor       runs batches, gives every call its own answer
device         the slots that batches run in, and the threads that run them
batch_times    how long batches take, and when waiting rows are likely to be answered
row_times      how long batches of rows of about one weight take
call           the rows of one caller, and the answer that they get
"""
