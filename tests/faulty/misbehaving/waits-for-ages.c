/* Sends back what it receives, one client after another. It waits for each with a time limit of some hundred thousand million years. */
#include "server.h"
#include <limits.h>

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        struct timespec ages = {.tv_sec = LONG_MAX};
        if (ppoll(&(struct pollfd){.fd = door, .events = POLLIN}, 1, &ages, NULL) <= 0)
            continue;
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
