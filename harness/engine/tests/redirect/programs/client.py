"""Connects to each target in turn, by sockets that wait and by asyncio's, and prints what they answer."""
import asyncio
import socket
import sys


def ask(address, port):
    with socket.create_connection((address, port)) as connection:
        connection.sendall(b"who\n")
        print(connection.makefile().readline().strip(), "peer=%d" % connection.getpeername()[1])


async def ask_in_loop(address, port):
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"who\n")
    answer = await reader.readline()
    print(answer.decode().strip(), "peer=%d" % writer.get_extra_info("peername")[1])
    writer.close()


targets = list(zip(sys.argv[1::2], map(int, sys.argv[2::2])))
for target in targets:
    ask(*target)
for target in targets:
    asyncio.run(ask_in_loop(*target))
