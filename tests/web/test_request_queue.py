import asyncio

import pytest

from quietpixel.web.problems import BusyError
from quietpixel.web.request_queue import Held, Turns


def test_they_are_called_in_order_and_no_more_than_there_are_places():
    async def play():
        turns, order, together = Turns(2, 10), [], []

        async def guest(number):
            async with turns.turn():
                order.append(number)
                together.append(turns.working)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(guest(number) for number in range(8)))
        assert order == list(range(8))
        assert max(together) == 2
        assert (turns.working, turns.waiting) == (0, 0)

    asyncio.run(play())


def test_who_comes_to_a_full_line_is_sent_away():
    async def play():
        turns = Turns(1, 1)
        async with turns.turn():
            second = turns.turn()
            waiting = asyncio.ensure_future(second.__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="Too many requests are waiting; try") as caught:
                await turns.turn().__aenter__()
            assert int(caught.value.headers["Retry-After"]) >= 1
            waiting.cancel()

    asyncio.run(play())


@pytest.mark.parametrize("called", [False, True])
def test_who_stops_waiting_leaves_the_line(called):
    """Also in the very moment in which the place was given to it."""

    async def play():
        turns = Turns(1, 5)
        first, second, third = turns.turn(), turns.turn(), turns.turn()
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
        assert (turns.working, turns.waiting) == (1, 0)

    asyncio.run(play())


def test_bytes_are_counted():
    held = Held(100)
    held.take(60)
    with pytest.raises(BusyError, match="take all the memory allowed"):
        held.take(50)
    assert held.bytes == 60
    held.give(60)
    held.take(100)
