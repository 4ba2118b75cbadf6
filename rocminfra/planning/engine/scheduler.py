"""vLLM's V1 scheduler in virtual time: how many tokens each sequence computes in the next step.

It implements the rules that affect latency and omits everything else:

- first come, first served; running sequences before waiting ones;
- one token budget per step (``max-num-batched-tokens``) for prefill chunks and decodes alike;
- KV blocks are allocated as tokens are computed; when they run out, the last admitted sequence is
  preempted: it loses its blocks, returns to the head of the queue and is computed again, including
  its output;
- a waiting sequence is admitted only if all of its tokens fit the free blocks
  (``scheduler_reserve_full_isl``), and none in a step that preempted;
- an image is encoded as a whole before its first token is computed, within a budget per step and a
  cache of bounded size.

Prefix caching is an input: a request says how many of its first tokens are cached, and those are
not computed. Their blocks are counted for every sequence, as if none were shared: a lower bound.
Source: ``vllm/v1/core/sched/scheduler.py`` and ``kv_cache_manager.py`` of vLLM 0.20.
Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rocminfra import reference_run
from rocminfra.planning.engine.encoder_cache import EncoderCache
from rocminfra.planning.engine.kv_cache import BLOCK_SIZE, REFERENCE_BLOCKS, BlockPool, blocks_for
from rocminfra.planning.engine.request import Request
from rocminfra.planning.engine.sequence import Sequence
from rocminfra.planning.engine.steps import Chunk, Completion, Step


@dataclass(frozen=True)
class SchedulerConfig:
    """Limits of the scheduler; names are vLLM's.

    + num_gpu_blocks: KV blocks, including the null block
    + block_size: tokens per block
    + max_num_seqs: sequences that run at the same time
    + max_num_batched_tokens: tokens per step
    + max_model_len: tokens of prompt and output together
    + encoder_tokens: image tokens encoded per step, and size of the encoder's cache; vLLM takes
      the larger of the step's budget and the largest image (16,384 for Qwen2-VL)
    + enable_chunked_prefill: without it a prompt is computed in one step or not at all
    + reserve_full_prompt: admit a sequence only if all of its tokens fit the free blocks
    """

    num_gpu_blocks: int = REFERENCE_BLOCKS
    block_size: int = BLOCK_SIZE
    max_num_seqs: int = reference_run.MAX_NUM_SEQS
    max_num_batched_tokens: int = reference_run.MAX_NUM_BATCHED_TOKENS
    max_model_len: int = reference_run.MAX_MODEL_LEN
    encoder_tokens: int = 16_384
    enable_chunked_prefill: bool = True
    reserve_full_prompt: bool = True

    def __post_init__(self) -> None:
        if min(self.max_num_seqs, self.max_num_batched_tokens, self.max_model_len) < 1:
            raise ValueError(f"scheduler limits must be positive: {self}")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError("max_num_batched_tokens must not be below max_num_seqs")

    @property
    def most_tokens(self) -> int:
        """Tokens of the largest request that can finish, limited by length and blocks."""
        return min(self.max_model_len, (self.num_gpu_blocks - 1) * self.block_size)


@dataclass
class _Draft:
    """A step under construction."""

    budget: int
    encoder_budget: int
    chunks: list[Chunk] = field(default_factory=list)
    patches: list[int] = field(default_factory=list)
    preempted: list[str] = field(default_factory=list)
    admitted: list[str] = field(default_factory=list)


class Scheduler:
    """Running and waiting sequences over one pool of blocks; see the module's docstring."""

    def __init__(self, config: SchedulerConfig | None = None) -> None:
        self.config = SchedulerConfig() if config is None else config
        self.pool = BlockPool(self.config.num_gpu_blocks, self.config.block_size)
        self.encoder_cache = EncoderCache(self.config.encoder_tokens)
        self.preemptions = 0
        self._running: list[Sequence] = []
        self._waiting: deque[Sequence] = deque()
        self._sequences: dict[str, Sequence] = {}

    @property
    def running(self) -> int:
        """Number of running sequences."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Number of queued sequences, including preempted ones."""
        return len(self._waiting)

    def has(self, request_id: str) -> bool:
        """Whether ``request_id`` is waiting or running."""
        return request_id in self._sequences

    def add(self, request: Request) -> None:
        """Put ``request`` at the end of the queue.

        Raises ValueError for a duplicate id, and for a request that could never finish: longer than
        the model's length or the whole KV cache, or with an image larger than the encoder's cache.
        """
        if request.id in self._sequences:
            raise ValueError(f"request {request.id} already exists")
        self._check_can_end(request)
        sequence = Sequence(request)
        self._sequences[request.id] = sequence
        self._waiting.append(sequence)

    def abort(self, request_id: str) -> bool:
        """Drop a request and free its resources. Returns False if the id is unknown."""
        sequence = self._sequences.pop(request_id, None)
        if sequence is None:
            return False
        if sequence in self._running:
            self._running.remove(sequence)
        else:
            self._waiting.remove(sequence)
        self._free(sequence)
        return True

    def schedule(self) -> Step | None:
        """Choose the next step and allocate its blocks; None if nothing can be computed."""
        draft = _Draft(self.config.max_num_batched_tokens, self.config.encoder_tokens)
        self._schedule_running(draft)
        if not draft.preempted:
            self._schedule_waiting(draft)
        step = Step(
            tuple(draft.chunks),
            tuple(draft.patches),
            tuple(draft.preempted),
            tuple(draft.admitted),
        )
        if draft.chunks:
            return step
        if not draft.preempted:
            return None
        # Only preemptions happened: the remaining sequences have room now.
        following = self.schedule()
        if following is None:
            return None
        return following._replace(preempted=step.preempted + following.preempted)

    def complete(self, step: Step) -> Completion:
        """Record the results of ``step``, ignoring requests that were aborted meanwhile."""
        tokens: list[str] = []
        finished: list[str] = []
        for request_id, count, before, samples in step.chunks:
            sequence = self._sequences.get(request_id)
            if sequence is None or sequence.computed != before:
                continue
            sequence.computed += count
            if sequence.images:
                self.encoder_cache.release_passed(sequence)
            if not samples:
                continue
            sequence.generated += 1
            sequence.total += 1
            tokens.append(request_id)
            if sequence.generated >= sequence.request.output_tokens:
                finished.append(request_id)
        for request_id in finished:
            sequence = self._sequences.pop(request_id)
            self._running.remove(sequence)
            self._free(sequence)
        return Completion(tuple(tokens), tuple(finished))

    def _check_can_end(self, request: Request) -> None:
        if request.total_tokens > self.config.most_tokens:
            raise ValueError(
                f"request {request.id}: {request.total_tokens} tokens are more than "
                f"{self._most_words()}"
            )
        largest = max((image.tokens for image in request.images), default=0)
        if largest > self.config.encoder_tokens:
            raise ValueError(
                f"request {request.id}: an image of {largest} tokens exceeds the encoder's "
                f"cache of {self.config.encoder_tokens}"
            )
        if (
            not self.config.enable_chunked_prefill
            and request.total_tokens > self.config.max_num_batched_tokens
        ):
            raise ValueError(
                f"request {request.id}: {request.total_tokens} tokens do not fit a step of "
                f"{self.config.max_num_batched_tokens}, and prefill is not chunked"
            )

    def _most_words(self) -> str:
        """What bounds a request: a setting's name, or the cache."""
        config = self.config
        if config.most_tokens == config.max_model_len:
            return f"--max-model-len {config.max_model_len}"
        return (
            f"the {config.most_tokens} that the KV cache keeps (--max-model-len "
            f"{config.max_model_len})"
        )

    def _schedule_running(self, draft: _Draft) -> None:
        index = 0
        running, grow = self._running, self.pool.grow
        while index < len(running) and draft.budget > 0:
            sequence = running[index]
            index += 1
            want = min(sequence.total - sequence.computed, draft.budget)
            if sequence.images:
                want = self.encoder_cache.limit(sequence, want, draft.encoder_budget)
            if want > 0 and (
                grow(sequence.request.id, sequence.computed + want)
                or self._make_room(sequence, want, draft)
            ):
                self._take(sequence, want, draft)

    def _make_room(self, sequence: Sequence, want: int, draft: _Draft) -> bool:
        """Find blocks for ``want`` more tokens, preempting the last admitted sequences."""
        while not self.pool.grow(sequence.request.id, sequence.computed + want):
            victim = self._running.pop()
            self._free(victim)
            victim.preempt()
            self._waiting.appendleft(victim)
            self.preemptions += 1
            draft.preempted.append(victim.request.id)
            if victim is sequence:
                return False
        return True

    def _schedule_waiting(self, draft: _Draft) -> None:
        while self._waiting and draft.budget > 0:
            if len(self._running) >= self.config.max_num_seqs:
                return
            sequence = self._waiting[0]
            request_id = sequence.request.id
            left = sequence.total - sequence.computed
            if not self.config.enable_chunked_prefill and left > draft.budget:
                return
            want = min(left, draft.budget)
            if sequence.images:
                want = self.encoder_cache.limit(sequence, want, draft.encoder_budget)
            reached = sequence.computed + want
            must_fit = sequence.total if self.config.reserve_full_prompt else reached
            lacking = blocks_for(must_fit, self.config.block_size)
            if want == 0 or lacking > self.pool.free or not self.pool.grow(request_id, reached):
                return
            self._waiting.popleft()
            self._running.append(sequence)
            draft.admitted.append(request_id)
            self._take(sequence, want, draft)

    def _take(self, sequence: Sequence, want: int, draft: _Draft) -> None:
        samples = sequence.computed + want == sequence.total
        draft.chunks.append(Chunk(sequence.request.id, want, sequence.computed, samples))
        draft.budget -= want
        if sequence.images:
            for image in self.encoder_cache.encode(sequence, want):
                draft.encoder_budget -= image.tokens
                draft.patches.append(image.patches)

    def _free(self, sequence: Sequence) -> None:
        self.pool.release(sequence.request.id)
        self.encoder_cache.release(sequence)
