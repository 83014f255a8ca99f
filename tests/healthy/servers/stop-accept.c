/* Forks for each client, with a time limit of 200 ms for each wait at its listener, and ends when one is cut short by a signal. It handles
 * none: with a time limit a stop by SIGSTOP does that (signal(7)), as `hold` is without the gate. */
#include "common.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    struct timeval limit = {.tv_usec = 200 * 1000}, none = {0};
    setsockopt(door, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (;;) {
        int client = accept(door, NULL, NULL);
        reap_all();
        if (client < 0 && errno == EINTR)
            err(1, "accept");
        if (client < 0) {
            if (errno != EAGAIN)
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
            continue;
        }
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
        serve_in_a_child(door, client);
    }
}
