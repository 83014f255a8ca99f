/* The backend of proxy-backlog.c: it writes its port into the file that is its argument, goes into the background, and serves one
 * connection after the other, sending back what it receives. Two connections may wait; the kernel drops the SYNs of others, which are
 * sent again after a second. It ends with the proxy: when its first connection ends, or if there is no connection within a minute. */
#include "common.h"

enum { PATIENCE = 60 * 1000 /* ms */ };

static void *last_as_long_as(void *first)
{
    char byte;
    receive((int)(long)first, &byte, 1, 0);
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(door, (struct sockaddr *)&address, size) || listen(door, 1) ||
        getsockname(door, (struct sockaddr *)&address, &size))
        err(2, "a port");
    FILE *file = fopen(argc == 2 ? argv[1] : "", "w");
    if (!file || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 || fclose(file))
        err(2, "the file");
    if (daemon(1, 0))
        err(1, "daemon");
    if (poll(&(struct pollfd){.fd = door, .events = POLLIN}, 1, PATIENCE) != 1)
        return 0;
    start_thread(last_as_long_as, accept(door, NULL, NULL));
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
