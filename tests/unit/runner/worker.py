"""A process that runs pyinfra for the tests.

pyinfra's command line patches the standard library for gevent when it is imported, and that is
nothing for the process that runs all the other tests. One worker serves all of them: it reads
pickled calls on stdin and answers on what was its stdout.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import pickle  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

import calls  # noqa: E402


def serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what operations print must not get between the answers
    while True:
        try:
            name, arguments, keywords = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = ("value", vars(calls)[name](*arguments, **keywords))
            data = pickle.dumps(answer)
        except Exception as error:
            data = _refusal(error)
        answers.write(data)
        answers.flush()


def _refusal(error: Exception) -> bytes:
    try:
        data = pickle.dumps(("error", error))
        pickle.loads(data)
    except Exception:
        return pickle.dumps(("error", RuntimeError(traceback.format_exc())))
    return data


if __name__ == "__main__":
    serve()
