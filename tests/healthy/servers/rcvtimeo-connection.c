/* A thread for each client sends back what it receives; with ONE_AT_A_TIME there are no threads. A client that is silent for 200 ms
 * (SO_RCVTIMEO) is cut off. This timeout is intended: it is no collateral damage of other clients' events. */
#include "common.h"

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    struct timeval limit = {.tv_usec = 200 * 1000};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    echo(client);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        if (ONE_AT_A_TIME)
            serve((void *)(long)client);
        else
            start_thread(serve, client);
    }
}
