import asyncio

import pytest

from quietpixel.web.problems import BusyError
from quietpixel.web.request_queue import MemoryBudget, RequestQueue


def test_they_are_called_in_order_and_no_more_than_there_are_places():
    async def play():
        queue, order, together = RequestQueue(2, 10), [], []

        async def guest(number):
            async with queue.turn():
                order.append(number)
                together.append(queue.working)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(guest(number) for number in range(8)))
        assert order == list(range(8))
        assert max(together) == 2
        assert (queue.working, queue.waiting) == (0, 0)

    asyncio.run(play())


def test_who_comes_to_a_full_line_is_sent_away():
    async def play():
        queue = RequestQueue(1, 1)
        async with queue.turn():
            second = queue.turn()
            waiting = asyncio.ensure_future(second.__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="Too many requests are waiting; try") as caught:
                await queue.turn().__aenter__()
            assert int(caught.value.headers["Retry-After"]) >= 1
            waiting.cancel()

    asyncio.run(play())


@pytest.mark.parametrize("called", [False, True])
def test_who_stops_waiting_leaves_the_line(called):
    """Also in the very moment in which the place was given to it."""

    async def play():
        queue = RequestQueue(1, 5)
        first, second, third = queue.turn(), queue.turn(), queue.turn()
        await first.__aenter__()
        tasks = [asyncio.ensure_future(each.__aenter__()) for each in (second, third)]
        await asyncio.sleep(0)
        if called:
            await first.__aexit__(None, None, None)
            tasks[0].cancel()
        else:
            tasks[0].cancel()
            await asyncio.sleep(0)
            await first.__aexit__(None, None, None)
        await asyncio.wait_for(tasks[1], 1)
        assert (queue.working, queue.waiting) == (1, 0)

    asyncio.run(play())


def test_bytes_are_counted():
    held = MemoryBudget(100)
    held.take(60)
    with pytest.raises(BusyError, match="take all the memory allowed"):
        held.take(50)
    assert held.bytes == 60
    held.give(60)
    held.take(100)
