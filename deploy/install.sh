#!/bin/sh
# What the Dockerfiles run:
#   install.sh packages NAME    makes /out, a tree with requirements/NAME.txt in /opt/vae, without what no verb runs
#   install.sh project          makes /out, a tree with this project's own code in /opt/vae, from the source in /src
#   install.sh system FOLDER... takes out of the base what nothing runs, and makes folders in which any user may write
# The trees have the same bytes and the same times whenever they are made, so that the same input makes the same layers.
set -eu
export SOURCE_DATE_EPOCH=315532800 PYTHONDONTWRITEBYTECODE=1
python=/opt/vae/bin/python3

# Writes byte code that names no time and is never compared with its source, because nothing in an image changes. Some packages hold
# code for newer Pythons, which is left out.
compile() {
    find "$1" -name __pycache__ -prune -exec rm -r {} +
    python3 -m compileall -qq --invalidation-mode unchecked-hash "$1" || :
}

date_all() {
    find "$@" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# Tests, headers, and what links programs. Of ONNX Runtime, the library for C and the tools that make models; of Pillow, AVIF; of
# Arrow, Flight and its own client of S3; of PyTorch, its programs. docs/deployment.md says what each is worth.
strip() {
    cd /opt/vae/lib/python3*/site-packages
    find . \( -name tests -o -path ./pyarrow/include -o -path ./pyarrow/src -o -path ./torch/include -o -path ./torch/test \) \
        -type d -prune -exec rm -r {} +
    find . \( -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyx' -o -name '*.pyi' \) \
        -type f -delete
    find . -path './torch/bin/*' ! -name torch_shm_manager -delete
    rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools onnxruntime/capi/libonnxruntime.so* \
        pillow.libs/libavif* PIL/_avif* onnx/backend/test torch/share \
        pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so* pyarrow/_flight.* \
        pyarrow/libarrow_s3.so* pyarrow/_s3fs.*
}

case $1 in
packages)
    python3 -m venv --without-pip /opt/vae
    pip --python $python install --no-cache-dir --no-compile --no-deps --require-hashes \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement "deploy/requirements/$2.txt"
    (strip)
    echo /opt/vae/app >"$(echo /opt/vae/lib/python3*/site-packages)/vaeserve.pth"
    compile /opt/vae
    mkdir -p /out/opt
    mv /opt/vae /out/opt/vae
    date_all /out ;;
project)
    python3 -m venv --without-pip /opt/vae
    pip install --no-cache-dir --no-deps --require-hashes --requirement deploy/requirements/build.txt
    pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel .
    pip --python $python install --no-index --no-deps --no-compile --target /out/opt/vae/app /wheel/*.whl
    mkdir -p /out/opt/vae/bin
    mv /out/opt/vae/app/bin/* /out/opt/vae/bin
    rmdir /out/opt/vae/app/bin
    compile /out
    date_all /out ;;
system)
    shift
    library=$(echo /usr/local/lib/python3*)
    rm -rf /usr/local/bin/pip* "$library/ensurepip" "$library"/site-packages/*
    find / -xdev -perm /6000 -type f -exec chmod a-s {} +
    mkdir "$@"
    chmod 1777 "$@"
    compile "$library"
    date_all "$library" \( -type d -o -name '*.pyc' \)
    date_all / /usr/local/bin "$@" -maxdepth 0 ;;
esac
