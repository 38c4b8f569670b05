"""Sends large answers part by part, so that a slow reader holds up nothing but itself."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from quietpixel.web.request_queue import MemoryBudget

PART = 256 * 1024


class Parts(Response):
    """An answer that is sent in parts; its bytes count as held until the last is on its way."""

    def __init__(
        self, content: bytes, held: MemoryBudget, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._held = held
        held.force(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; between parts the server waits until the client has taken in enough."""
        start = {"type": "http.response.start", "status": self.status_code}
        view = memoryview(self.body)
        try:
            await send({**start, "headers": self.raw_headers})
            for at in range(0, max(len(view), 1), PART):
                more = at + PART < len(view)
                body = bytes(view[at : at + PART])
                await send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            self._held.give(len(view))
