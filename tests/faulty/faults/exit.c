/* Sends back what it receives, one client after another.
 * Fault: the server regards the failure of a connection as its own, and exits with 1.
 * Shown by: a client that resets.
 * The twin closes the connection and continues. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (echo(client) && FAULTY)
            err(1, "recv");
        close(client);
    }
}
