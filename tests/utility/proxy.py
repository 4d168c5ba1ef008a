"""A network between client and CSMS: delay in both directions, stalls, cuts."""

import asyncio
import contextlib


class Proxy:
    """Forwards TCP on loopback with `delay_s` each way; `stalled` holds everything back."""

    def __init__(self, port, delay_s=0.0):
        self.target = port
        self.delay_s = delay_s
        self.stalled = False
        self.connections = 0
        self.writers = set()
        self.tasks = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def cut(self):
        """Drop every connection at once, with what is on its way."""
        for writer in self.writers:
            writer.transport.abort()

    async def _accept(self, reader, writer):
        self.connections += 1
        there = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers |= {writer, there[1]}
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pump(self, reader, writer):
        """Each chunk arrives `delay_s` later; many may be on the way."""
        queue = asyncio.Queue()
        sending = asyncio.create_task(self._send(queue, writer))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await queue.put((loop.time() + self.delay_s, data))
        await queue.put((0.0, b""))
        await sending

    async def _send(self, queue, writer):
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                due_s, data = await queue.get()
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                while self.stalled:
                    await asyncio.sleep(0.02)
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()
