/* A thread for each client connects to a backend, whose port is in the file that is the second argument, and then passes data in both
 * directions. While the backend's accept queue is full, the kernel repeats the SYN in its own time. The thread waits for that without a
 * time limit, even if its client has gone: that is neither a leak of threads nor of descriptors. */
#include "relay.h"

static struct sockaddr_in backend = {.sin_family = AF_INET};

static int connected(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
    socklen_t size = sizeof error;
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&backend, sizeof backend) && errno == EINPROGRESS) {
        while (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) < 0)
            ;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, 0);
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
        errx(2, "usage: %s PORT FILE", argv[0]);
    int door = listener(2, argv), port;
    FILE *file = fopen(argv[2], "r");
    if (!file || fscanf(file, "%d", &port) != 1)
        err(1, "%s", argv[2]);
    fclose(file);
    backend.sin_port = htons(port);
    backend.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* One connection that says that there is a proxy. */
    if (connected() < 0)
        err(1, "the backend");
    for (;;)
        start_thread(serve, next_client(door));
}
