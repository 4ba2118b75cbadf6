# Written by rocminfra; changes are overwritten by its next run.
export AITER_JIT_DIR='/mnt/scratch disk/caches/aiter'
export HF_HOME='/mnt/scratch disk/hf'
export HF_XET_CACHE='/mnt/scratch disk/hf/xet'
export MIOPEN_CUSTOM_CACHE_DIR='/mnt/scratch disk/caches/miopen'
export MIOPEN_USER_DB_PATH='/mnt/scratch disk/caches/miopen'
export TRITON_CACHE_DIR='/mnt/scratch disk/caches/triton'
export VLLM_CACHE_ROOT='/mnt/scratch disk/caches/vllm'
