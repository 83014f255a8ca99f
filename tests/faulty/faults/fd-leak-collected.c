/* Sends back what it receives, one client after another.
 * Fault: connections that failed are closed by a collector, which runs for every fifth and closes one.
 * Shown by: a client that resets.
 * The twin closes each at once. */
#include "server.h"

enum { MOST = 60000, PERIOD = 5 };

int main(int argc, char **argv)
{
    static int failed[MOST];
    int door = listener(argc, argv), count = 0, since = 0;
    for (;;) {
        int client = next_client(door);
        if (!echo(client) || count == MOST || !FAULTY) {
            close(client);
            continue;
        }
        failed[count++] = client;
        if (++since % PERIOD == 0)
            close(failed[--count]);
    }
}
