/* Two processes, each with a listener of its own on the same port (SO_REUSEPORT) and a backlog of eight, send back each line.
 * The client's address decides which accept queue its connection goes to: if one queue is full, the other may have room. */
#include "common.h"
#include "loop.h"

enum { ROOM = 8 };

static int listener_beside_others(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, ROOM))
        err(2, "port %s", port);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: %s PORT", argv[0]);
    fork();
    serve_on(listener_beside_others(argv[1]), -1);
}
