#!/bin/bash
# A sweep on four nodes of a Slurm cluster: sbatch experiments/cluster/slurm.sh [--all | STUDY ...]
#
# Run it from the folder of the project, with .venv in it, on a file system that all nodes have (most often the home):
# they then share code, data and store, and nothing is sent. Change the lines that begin with #SBATCH to what your
# cluster has, and params.yaml to the same: resources: {parallel_trials: 16, cpus_per_trial: 8, gpus_per_trial: 1} puts
# four trials on each of these nodes.
# Slurm sends SIGTERM two minutes before the time is over. Trials then save a checkpoint after their step, the job ends
# with status 143, and the same sbatch goes on where it was; --requeue does so by itself where nodes fail or are taken.
# Ray's processes of this job know each other by a token: other users of the nodes cannot join.
#SBATCH --job-name=boxinst
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:$((20000 + SLURM_JOB_ID % 10000))"

on_head=(srun --nodes=1 --ntasks=1 --nodelist="$head")
"${on_head[@]}" ray start --head --port="${address#*:}" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
head_job=$!
until ray health-check --address "$address"; do
  kill -0 "$head_job" || exit 1 # Ray's head did not start, such as on a port that is taken
  sleep 2
done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  others=$((SLURM_JOB_NUM_NODES - 1))
  srun --nodes="$others" --ntasks="$others" --exclude="$head" \
    ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block & # a node that comes late gets trials too
fi

RAY_ADDRESS="$address" python -m experiments.run "${@:---all}" &
driver=$!
trap 'kill -TERM "$driver"' TERM
status=0
wait "$driver" || status=$?
if kill -0 "$driver" 2>/dev/null; then # the signal ended the wait, not the driver
  status=0
  wait "$driver" || status=$?
fi
exit "$status"
