/* A thread for each client sends back what it receives. When accept fails for want of descriptors, the server waits for 2 s before the
 * next accept.
 * This delay is intended, and all clients are served after it: the server is not unresponsive. */
#include "common.h"

enum { BACK_OFF = 2000 /* ms */ };

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    echo(client);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = accept(door, NULL, NULL);
        if (client >= 0)
            start_thread(serve, client);
        else if (!only_this_client(errno))
            poll(NULL, 0, BACK_OFF);
    }
}
