"""Triton's messages: the fields of the open inference protocol that a call with one tensor of float32 needs."""

from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from benchmarks.peers.joined import Rows

INFER = "/inference.GRPCInferenceService/ModelInfer"
_FILE = """
name: "inference.proto" package: "inference" syntax: "proto3"
message_type {
  name: "Tensor"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "datatype" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "shape" number: 3 type: TYPE_INT64 label: LABEL_REPEATED }
}
message_type {
  name: "ModelInferRequest"
  field { name: "model_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "inputs" number: 5 type: TYPE_MESSAGE type_name: ".inference.Tensor" label: LABEL_REPEATED }
  field { name: "raw_input_contents" number: 7 type: TYPE_BYTES label: LABEL_REPEATED }
}
message_type {
  name: "ModelInferResponse"
  field { name: "outputs" number: 5 type: TYPE_MESSAGE type_name: ".inference.Tensor" label: LABEL_REPEATED }
  field { name: "raw_output_contents" number: 6 type: TYPE_BYTES label: LABEL_REPEATED }
}
"""
_POOL = DescriptorPool()
_POOL.Add(text_format.Parse(_FILE, FileDescriptorProto()))


def message(name: str) -> type[Any]:
    """Returns the class of a message."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"inference.{name}"))


def request(model: str, name: str, rows: Rows) -> bytes:
    """Returns a serialised request for a model, with one input."""
    infer = message("ModelInferRequest")(model_name=model, raw_input_contents=[rows.tobytes()])
    infer.inputs.add(name=name, datatype="FP32", shape=rows.shape)
    content: bytes = infer.SerializeToString()
    return content


def values(response: bytes) -> Rows:
    """Returns all values of the only output of a serialised response."""
    [content] = message("ModelInferResponse").FromString(response).raw_output_contents
    return np.frombuffer(content, "<f4")
