/* Sends back what it receives, one client after another.
 * Fault: a request that fills the buffer is ended with a byte behind it, which an abort stands for.
 * Shown by: a client that sends as much as the buffer holds.
 * The twin leaves a byte free. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        char bytes[8192];
        int client = next_client(door);
        ssize_t got = receive(client, bytes, sizeof bytes - !FAULTY, 0);
        if (got == sizeof bytes)
            abort();
        if (got > 0)
            bytes[got] = 0;
        if (got > 0 && send_all(client, bytes, got, MSG_NOSIGNAL) == 0)
            echo(client);
        close(client);
    }
}
