/* A thread for each client, or, with ONE_AT_A_TIME, none, sends back what comes. Whoever is silent for 200 ms (SO_RCVTIMEO) is cut off.
 * That is what it says on the box: it is no collateral damage of whatever others did meanwhile. */
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
