/* Has its listener hand over only clients that have said something, as distccd does (TCP_DEFER_ACCEPT), and sends back what comes, a
 * thread for each client. One that says nothing is handed over after a second, by the kernel alone: the server is not stuck before. */
#include "common.h"

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    echo(client);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv), seconds = 1;
    setsockopt(door, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    for (;;)
        start_thread(serve, next_client(door));
}
