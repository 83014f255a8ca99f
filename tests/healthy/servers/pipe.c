/* One thread accepts and sends the numbers of descriptors through a pipe to eight others, which block in a read of it.
 * That read is on no socket: a tool that ignores it would take a client in the queue between threads for one that is never served. */
#include "common.h"

enum { THREADS = 8 };

static int ends[2];

static void *serve(void *argument)
{
    for (;;) {
        int client;
        if (read(ends[0], &client, sizeof client) != sizeof client)
            continue;
        echo(client);
        close(client);
    }
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    if (pipe(ends))
        err(1, "pipe");
    for (int i = 0; i < THREADS; i++)
        start_or_die(serve, NULL);
    for (;;) {
        int client = next_client(door);
        while (write(ends[1], &client, sizeof client) < 0)
            ;
    }
}
