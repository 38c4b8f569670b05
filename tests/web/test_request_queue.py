import asyncio

import pytest

from quietpixel.web.problems import BusyError
from quietpixel.web.request_queue import MemoryBudget, RequestQueue


def test_requests_run_in_order_and_no_more_than_there_are_slots():
    async def run():
        queue, order, together = RequestQueue(2, 10), [], []

        async def request(number):
            async with queue.slot():
                order.append(number)
                together.append(queue.working)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(request(number) for number in range(8)))
        assert order == list(range(8))
        assert max(together) == 2
        assert (queue.working, queue.waiting) == (0, 0)

    asyncio.run(run())


def test_a_full_queue_refuses_further_requests():
    async def run():
        queue = RequestQueue(1, 1)
        async with queue.slot():
            second = queue.slot()
            waiting = asyncio.ensure_future(second.__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="Too many requests are waiting; try") as caught:
                await queue.slot().__aenter__()
            assert int(caught.value.headers["Retry-After"]) >= 1
            waiting.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("given", [False, True])
def test_cancelled_requests_leave_the_queue(given):
    """Also if they are cancelled just after they were given the slot."""

    async def run():
        queue = RequestQueue(1, 5)
        first, second, third = queue.slot(), queue.slot(), queue.slot()
        await first.__aenter__()
        tasks = [asyncio.ensure_future(each.__aenter__()) for each in (second, third)]
        await asyncio.sleep(0)
        if given:
            await first.__aexit__(None, None, None)
            tasks[0].cancel()
        else:
            tasks[0].cancel()
            await asyncio.sleep(0)
            await first.__aexit__(None, None, None)
        await asyncio.wait_for(tasks[1], 60)
        assert (queue.working, queue.waiting) == (1, 0)

    asyncio.run(run())


def test_bytes_are_counted():
    memory = MemoryBudget(100)
    memory.reserve(60)
    with pytest.raises(BusyError, match="use all the memory allowed"):
        memory.reserve(50)
    assert memory.bytes == 60
    memory.release(60)
    memory.reserve(100)
