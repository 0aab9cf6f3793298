"""A running service, asked over its own HTTP routes with the caller's key.

Refuses to tell anything but the service's own words: a refusal is the route's, an address that does not
answer is said to be that.
"""

from typing import Any

import httpx2
import msgspec

from config import Secret
from service.tools.mcp.http import TooLong, Transport
from telemetry.spans import leading_here

SECONDS = httpx2.Timeout(10.0, read=600.0)
"""To verify a log of millions of events takes minutes."""


class Refused(Exception):
    """No answer; its words are for whoever asked."""


class Asking:
    """A client of one service, for one caller."""

    def __init__(self, url: str, key: Secret) -> None:
        self._url = url
        headers = {"authorization": f"Bearer {key.reveal()}", "accept": "application/json"}
        self._client = httpx2.AsyncClient(
            transport=Transport(), headers=headers, timeout=SECONDS, trust_env=False
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def get(self, path: str, parameters: dict[str, str]) -> Any:
        """What a route answers, decoded; the trace of whoever asked goes on there.

        Raises:
            Refused: the route refused, in its words, or there was no answer.
        """
        try:
            response = await self._client.get(f"{self._url}{path}", params=parameters, headers=leading_here())
            told = msgspec.json.decode(response.content)
        except httpx2.HTTPError as error:
            raise Refused(f"The service at {self._url} does not answer ({type(error).__name__}).") from error
        except TooLong as error:
            raise Refused("The answer is too long; ask for less of it.") from error
        except ValueError as error:
            raise Refused(f"What answers at {self._url} is no Parley.") from error
        if not response.is_success:
            raise Refused(_said(told, response.status_code))
        return told


def _said(problem: Any, status: int) -> str:
    """A problem in one paragraph: its code, what it says, and each field that is wrong."""
    if not isinstance(problem, dict):
        return f"The service refused with status {status}."
    told: dict[str, Any] = {str(name): value for name, value in problem.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - whatever came
    fields: list[Any] = told.get("errors") or []
    wrong = [f"{each.get('field')}: {each.get('message')}" for each in fields if isinstance(each, dict)]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - as above
    sentences = [f"{told.get('code', status)}: {told.get('error', 'refused')}", told.get("detail"), *wrong]
    return " ".join(str(each) for each in sentences if each)
