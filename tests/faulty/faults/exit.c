/* Sends back what comes, one client after another.
 * Fault: it takes the failure of a connection for its own, and ends with 1.
 * Shown by: a client that resets.
 * The twin closes the connection and goes on. */
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
