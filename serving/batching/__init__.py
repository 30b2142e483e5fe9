"""Rows of many callers -> batches. Knows rows and time, nothing else.

batcher       rows of many callers -> batches; knows rows and time, nothing else
waiting_room  where calls wait until there is room for them
executor      runs batches, gives every call its own answer
line          the calls that wait, in two classes, and how a batch is made of them
device        the slots that batches run in, and the threads that run them
gathering     whether calls come in crowds, and the turns that bring one together
pace          how long batches take, and when waiting rows are likely to be answered
"""
