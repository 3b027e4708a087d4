#!/bin/sh
# Everything of packdepth that needs a GPU, in under eight minutes, as one table: bench/gpu.sh [options of bench/gpu.py]
#
# A machine that reaches no package index: download the wheels that it lacks into wheels/ beforehand, such as those of
# pydantic, tyro, av, rich, tensorboard, pyyaml and pillow (python3 -m pip download -d wheels pydantic tyro ...).
set -e
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
if [ -d wheels ]; then
    "$python" -m pip install --quiet --no-index --find-links wheels --no-deps wheels/*.whl
fi
PYTHONPATH="src:tests${PYTHONPATH:+:$PYTHONPATH}" exec "$python" bench/gpu.py "$@"
