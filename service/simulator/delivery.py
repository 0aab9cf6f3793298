"""How a reply reaches the client: whole or as a stream, at once or slowly, and broken where asked.

Refuses to decide what is said; that is `answers`.
"""

from http import HTTPStatus

import msgspec

from service.simulator import answers
from service.simulator.answers import Answer
from service.simulator.cache import Cache
from service.simulator.error import ApiError
from service.simulator.exchange import Exchange
from service.simulator.markers import Script
from service.simulator.messages import Question
from service.simulator.reply import Reply, reply_to
from service.simulator.stream import frames, message_body


async def deliver(exchange: Exchange, request: Question, script: Script, cache: Cache) -> None:
    """Answer a question by its script; what is refused leaves nothing in the cache.

    Raises:
        ApiError: where the script asks for an HTTP error.
        ClientGone: when the client leaves before the end.
    """
    answer = answers.answer(request, script)
    fault = "" if answer.calls else script.fault
    if not request.stream or (fault and script.status):
        await exchange.pause(script.slow_ms / 1000)
    if fault and script.status:
        raise _error(script.status, script, request)
    given = cache.take(request, exchange.account)
    reply = reply_to(request, _bend(answer, fault, stream=request.stream), given)
    if request.stream:
        await _stream(exchange, reply, fault, script.slow_ms / 1000)
    else:
        await _whole(exchange, reply, fault)


def _bend(answer: Answer, fault: str, *, stream: bool) -> Answer:
    if fault == "refuse":
        return answers.halve(answer, "refusal")
    if fault == "truncate" and not stream:
        return answers.halve(answer, "max_tokens")
    return answer


def _error(status: int, script: Script, request: Question) -> ApiError:
    asked_for = f"The message asked for it: [sim:{script.fault}]."
    message = f"model: {request.model}" if status == HTTPStatus.NOT_FOUND else asked_for
    after = script.retry_after_seconds
    return ApiError(status, message, {} if after is None else {"retry-after": str(after)})


async def _stream(exchange: Exchange, reply: Reply, fault: str, seconds: float) -> None:
    await exchange.begin(
        200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    )
    for index, frame in enumerate(frames(reply, fault, exchange.served.request_id)):
        if index:
            await exchange.pause(seconds)
        await exchange.write(frame)
    if fault == "stall":
        await exchange.pause(None)
    if fault != "cut":
        await exchange.write(b"", last=True)


async def _whole(exchange: Exchange, reply: Reply, fault: str) -> None:
    body = msgspec.json.encode(message_body(reply))
    match fault:
        case "stall":
            await exchange.pause(None)
        case "cut":
            await exchange.tear(200, body)
        case "error-event":
            raise ApiError(529, "Overloaded")
        case "bad-json":
            await exchange.answer(200, body[: len(body) // 2])
        case _:
            await exchange.answer(200, body)
