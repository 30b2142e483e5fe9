#!/bin/sh
# Removes from a virtual environment what no verb runs: tests of numpy, ONNX Runtime's tools for making models, Pillow's AVIF.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"
find numpy -type d -name tests -prune -exec rm -r {} +
rm -rf numpy/f2py onnxruntime/transformers onnxruntime/quantization onnxruntime/tools pillow.libs/libavif* PIL/_avif*
