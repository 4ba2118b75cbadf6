# Written by rocminfra; changes are overwritten by its next run.
export AITER_JIT_DIR=/mnt/models/caches/aiter
export HF_HOME=/mnt/models/huggingface
export HF_XET_CACHE=/mnt/models/huggingface/xet
export MIOPEN_CUSTOM_CACHE_DIR=/mnt/models/caches/miopen
export MIOPEN_USER_DB_PATH=/mnt/models/caches/miopen
export TRITON_CACHE_DIR=/mnt/models/caches/triton
export VLLM_CACHE_ROOT=/mnt/models/caches/vllm
