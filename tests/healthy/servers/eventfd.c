/* One thread accepts and hands clients to eight others, which block in a read of an eventfd.
 * That read is on no socket: a tool that ignores it would take a client in the queue between threads for one that is never served. */
#include "handover.h"
#include <sys/eventfd.h>

enum { THREADS = 8 };

static int tokens;

static void *serve(void *argument)
{
    for (;;) {
        uint64_t one;
        if (read(tokens, &one, sizeof one) != sizeof one)
            continue;
        int client = taken();
        echo(client);
        close(client);
    }
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    tokens = eventfd(0, EFD_SEMAPHORE);
    for (int i = 0; i < THREADS; i++)
        start_or_die(serve, NULL);
    for (;;) {
        uint64_t one = 1;
        if (put(next_client(door)))
            while (write(tokens, &one, sizeof one) < 0)
                ;
    }
}
