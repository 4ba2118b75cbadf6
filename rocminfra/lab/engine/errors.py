"""Errors as the engine's clients see them: vLLM's error object with its status."""

from __future__ import annotations

import json
from http import HTTPStatus


class ApiError(Exception):
    """A request that is answered with an error.

    + status: HTTP status
    + message: what is wrong
    + kind: vLLM's name of the class of error; the status's phrase if None
    + param: the parameter at fault, or None
    """

    def __init__(
        self, status: int, message: str, kind: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = HTTPStatus(status).phrase if kind is None else kind
        self.param = param

    def body(self) -> bytes:
        """The JSON object that vLLM answers with."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.status,
        }
        return json.dumps({"error": error}).encode()


def bad_request(message: str, param: str | None = None) -> ApiError:
    """A request that vLLM's own code refuses."""
    return ApiError(400, message, "BadRequestError", param)


def invalid_body(kind: str, location: list[object], message: str, extra: str = "") -> ApiError:
    """A body that does not validate; vLLM prints the list of pydantic's errors as the message."""
    return ApiError(
        400, f"[{{'type': {kind!r}, 'loc': {tuple(location)!r}, 'msg': {message!r}{extra}}}]"
    )


def unknown_model(name: str) -> ApiError:
    """A model that is not served."""
    return ApiError(404, f"The model `{name}` does not exist.", "NotFoundError", "model")


def internal_error(message: str = "Internal server error") -> ApiError:
    """The engine's own fault."""
    return ApiError(500, message, "InternalServerError")
