#!/bin/bash
# Ray on the machines of a Slurm job: the first is the head, and runs the driver; every machine runs workers.
#
#     sbatch examples/cluster/slurm.sh
#
# The folder with this repository and the virtual environment is on a file system that all machines share.
#SBATCH --job-name=seal-env
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --output=runs/slurm-%j.log
set -euo pipefail
source .venv/bin/activate

export RAY_USAGE_STATS_ENABLED=0
# Whoever does not know this token cannot talk to the cluster; Ray's ports are open to the network of the machines.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')

mapfile -t machines < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${machines[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
address=$head:$port

srun --nodes=1 --ntasks=1 -w "$head" \
    ray start --head --node-ip-address="$head" --port="$port" --include-dashboard=false --block &
sleep 20
if ((${#machines[@]} > 1)); then
    srun --nodes=$((${#machines[@]} - 1)) --ntasks=$((${#machines[@]} - 1)) --exclude="$head" \
        ray start --address="$address" --block &
fi

# One worker for each GPU; those of machines that join late are used as soon as they answer. What was done is in the run
# folder: the same command resumes a job that was cut short.
seal-env eval --subset seal-train --agent random --model meta-llama/Llama-3.2-1B-Instruct --device cuda --in-call 512 \
    --inner-loop ray --ray-address "$address" --workers $((${#machines[@]} * 8)) --out "runs/slurm"
