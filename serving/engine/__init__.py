"""A batch of rows -> a batch of answers.

engine      draws noise, runs the graphs once for the whole batch, and cuts the results into each call's rows
half        an engine that runs a row again in float32 if it overflows in half precision
splitting   the rows of a batch's result -> an answer, or an error, for each call
rows        the inputs and outputs of the engine, per call
session     one graph under ONNX Runtime, checked against its manifest
providers   what can run graphs on this machine, and where a session is placed; the only import of onnxruntime
"""
