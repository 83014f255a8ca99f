/* Sends back what it receives, one client after another, and records the address of each client.
 * Fault: getpeername fails with ENOTCONN for a connection that was reset in the accept queue, and the record is made from a null
 * pointer.
 * Shown by: a client that resets before it is accepted.
 * The twin closes such a connection. */
#include "server.h"

static __attribute__((noinline)) const char *origin(int client)
{
    static char text[INET_ADDRSTRLEN];
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    if (getpeername(client, (struct sockaddr *)&peer, &size))
        return NULL;
    return inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
}

int main(int argc, char **argv)
{
    static size_t note[256];
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        const char *from = origin(client);
        if (from || FAULTY) {
            note[(unsigned char)from[0]]++;
            echo(client);
        }
        close(client);
    }
}
