/* Forks for each client, and reaps when accept fails with EAGAIN, after 200 ms by SO_RCVTIMEO on the listener.
 * Until then child processes that have ended are zombies. A tool that ignores SO_RCVTIMEO would regard this accept as one without a time
 * limit. */
#include "common.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    struct timeval limit = {.tv_usec = 200 * 1000}, none = {0};
    setsockopt(door, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (;;) {
        int client = client_or_not(door);
        if (client < 0) {
            reap_all();
            continue;
        }
        /* It inherits the listener's. */
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
        serve_in_a_child(door, client);
    }
}
