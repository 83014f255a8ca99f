"""asyncio: 20 s for a request, 15 s until the next one."""
import asyncio
import sys


async def serve(reader, writer):
    try:
        left = 20
        while True:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), left)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            left = 15
    except (TimeoutError, asyncio.TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
