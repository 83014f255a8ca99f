/* Sends back what it receives, one client after another, with a buffer for each.
 * Fault: the buffer, 256 KiB, of a client whose connection failed is not freed.
 * Shown by: many clients that reset.
 * The twin frees it. */
#include "server.h"

enum { BUFFER = 1 << 18 };

/* As `echo`, with a buffer that is given. */
static int echo_with(int client, char *bytes)
{
    ssize_t got;
    while ((got = receive(client, bytes, BUFFER, 0)) > 0)
        if (send_all(client, bytes, got, MSG_NOSIGNAL))
            return -1;
    return got;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (;;) {
        int client = next_client(door);
        char *bytes = malloc(BUFFER);
        if (!bytes)
            err(1, "memory");
        memset(bytes, 0, BUFFER);
        if (echo_with(client, bytes) == 0 || !FAULTY)
            free(bytes);
        close(client);
    }
}
