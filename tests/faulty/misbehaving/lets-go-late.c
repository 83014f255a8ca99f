/* Sends back what it receives, one client after another. Failed connections are closed when no client has connected for ten minutes. */
#include "server.h"

enum { LATE = 10 * 60 * 1000 /* ms */, MOST = 500 };

int main(int argc, char **argv)
{
    int door = listener(argc, argv), failed[MOST], count = 0;
    for (;;) {
        if (!poll(&(struct pollfd){.fd = door, .events = POLLIN}, 1, count > 0 ? LATE : -1) || count == MOST)
            while (count > 0)
                close(failed[--count]);
        int client = next_client(door);
        if (echo(client))
            failed[count++] = client;
        else
            close(client);
    }
}
