/* A thread for each client passes data in both directions between the client and a backend, on the Unix socket that is the second
 * argument.
 * The backend is none of the server's processes: while it works, brokenpipe cannot observe what the server waits for. */
#include "relay.h"
#include <sys/un.h>

static const char *backend;

static int connected(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, backend, sizeof address.sun_path - 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *serve(void *client)
{
    relay((int)(long)client, connected());
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: %s PORT SOCKET", argv[0]);
    int door = listener(2, argv);
    backend = argv[2];
    /* One connection that says that there is a proxy. */
    if (connected() < 0)
        err(1, "%s", backend);
    for (;;)
        start_thread(serve, next_client(door));
}
