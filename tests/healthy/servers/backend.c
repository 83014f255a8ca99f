/* The backend of proxy.c: it goes into the background once it listens on the Unix socket that is its argument, and sends back what it
 * receives, each time 3 ms later. It ends with the proxy: when its first connection ends, or if there is no connection within a minute. */
#include "common.h"
#include <sys/un.h>

enum { WORK = 3, PATIENCE = 60 * 1000 /* ms */ };

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    char bytes[4096];
    ssize_t got;
    while ((got = receive(client, bytes, sizeof bytes, 0)) > 0) {
        poll(NULL, 0, WORK);
        if (send_all(client, bytes, got, MSG_NOSIGNAL))
            break;
    }
    close(client);
    return NULL;
}

static void *last_as_long_as(void *first)
{
    char byte;
    receive((int)(long)first, &byte, 1, 0);
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int door = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, argc == 2 ? argv[1] : "", sizeof address.sun_path - 1);
    if (bind(door, (struct sockaddr *)&address, sizeof address) || listen(door, 128))
        err(2, "%s", address.sun_path);
    if (daemon(1, 0))
        err(1, "daemon");
    if (poll(&(struct pollfd){.fd = door, .events = POLLIN}, 1, PATIENCE) != 1)
        return 0;
    start_thread(last_as_long_as, accept(door, NULL, NULL));
    for (;;)
        start_thread(serve, next_client(door));
}
