"""A batch of rows -> a batch of answers.

engine   a batch of rows -> a batch of answers
rows     what callers want done with rows, and what becomes of them
session  the only import of onnxruntime
"""
