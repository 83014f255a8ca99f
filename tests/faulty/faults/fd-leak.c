/* Sends back what it receives, one client after another.
 * Fault: a connection that failed is not closed. It is in no TCP table.
 * Shown by: a client that resets.
 * The twin closes it. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (echo(client) && FAULTY)
            continue;
        close(client);
    }
}
