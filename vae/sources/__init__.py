"""Readers of data that need no PyTorch: what training reads, and the command.

    pictures  a folder -> its picture files -> rows
    picture   one of them -> pixels

What is bad raises InvalidInput, named by the path.
"""
