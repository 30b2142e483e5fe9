#!/bin/sh
# Proves on a GPU machine that the service's graphs run on CUDA, answer as on the CPU, and how fast; then that training
# does. Needs the extras training and serving-gpu. Without a GPU it says so and exits with 77.
set -e
cd "$(dirname "$0")/../.."
if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=${PYTHON:-python3}; fi
if ! "$python" -c 'import grpc, onnx, onnx_ir, onnxruntime, pydantic, sklearn, torch' 2>/dev/null; then
    echo "needs the extras training and serving-gpu: pip install '.[training,serving-gpu]'" >&2
    exit 1
fi
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
served=0 trained=0
"$python" benchmarks/gpu/prove.py || served=$?
"$python" benchmarks/gpu/train.py || trained=$?
if [ $served = 77 ] && [ $trained = 77 ]; then exit 77; fi
[ $served = 0 ] && [ $trained = 0 ]
