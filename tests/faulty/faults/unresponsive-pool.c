/* Ten threads accept, and each sends back what it receives, one client after another.
 * Fault: a thread whose connection has failed ends, and no other takes its place.
 * Shown by: ten clients that reset, one after another. Nobody is left to accept.
 * The twin closes the connection and continues. */
#include "server.h"

static void *serve(void *door)
{
    for (;;) {
        int client = next_client((int)(long)door);
        int failed = echo(client);
        close(client);
        if (failed && FAULTY)
            return NULL;
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (int i = 0; i < 10; i++)
        start_thread(serve, door);
    for (;;)
        pause();
}
