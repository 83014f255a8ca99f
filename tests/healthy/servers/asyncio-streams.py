# Python's asyncio sends back each line.
# When accept fails for want of descriptors it leaves its listener alone for a second; its event loop wakes itself through a socket pair.
import asyncio, sys


async def echo(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except (OSError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]), backlog=128)
    async with server:
        await server.serve_forever()


asyncio.run(main())
