/* One thread accepts and hands clients to eight others, which wait in a read of an eventfd.
 * That read is none of a socket: whoever does not see what it waits for takes a client on its way for one who is forgotten. */
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
