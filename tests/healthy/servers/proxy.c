/* A thread for each client passes on what it says to a backend, on the Unix socket that is the second argument, and what that answers.
 * The backend is none of the server's processes: while it works, the server waits for something that nobody can look into. */
#include "common.h"
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

/* Passes on what has come: 0, or -1 if that was the end. */
static int pass_on(int from, int to)
{
    char bytes[4096];
    ssize_t got = receive(from, bytes, sizeof bytes, 0);
    return got > 0 ? send_all(to, bytes, got, MSG_NOSIGNAL) : -1;
}

static void *serve(void *argument)
{
    int client = (int)(long)argument, behind = connected(), over = behind < 0;
    while (!over) {
        struct pollfd polls[] = {{.fd = client, .events = POLLIN}, {.fd = behind, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[0].revents)
            over = pass_on(client, behind);
        if (!over && polls[1].revents)
            over = pass_on(behind, client);
    }
    close(client);
    if (behind >= 0)
        close(behind);
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
