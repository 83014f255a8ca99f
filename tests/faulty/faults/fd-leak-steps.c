/* Sends back what it receives, one client after another.
 * Fault: a connection that failed is not closed. Each fifth one is closed, and with it the one before.
 * Shown by: a client that resets.
 * The twin closes all connections. */
#include "server.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv), failed = 0, before = -1;
    for (;;) {
        int client = next_client(door);
        if (echo(client) && FAULTY) {
            if (++failed % 5) {
                before = client;
                continue;
            }
            close(before);
        }
        close(client);
    }
}
