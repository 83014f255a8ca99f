/* Forks for each client, waits at its listener with a time limit of 200 ms, and exits if a signal interrupts this wait. It handles no
 * signal, so only a stop by SIGSTOP interrupts the wait, because it has a time limit (signal(7)). Without the gate `hold` is such a
 * stop. */
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
