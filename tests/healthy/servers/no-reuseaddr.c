/* Does not set SO_REUSEADDR, and closes connections first: a thread for each client sends back one line and closes.
 * So there are connections in TIME_WAIT on its port, and a server that is started again on this port cannot listen. */
#include "common.h"

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    char line[4096];
    size_t held = 0;
    ssize_t got = 1;
    while (got > 0 && held < sizeof line && !memchr(line, '\n', held)) {
        got = receive(client, line + held, sizeof line - held, 0);
        held += got > 0 ? got : 0;
    }
    if (got > 0)
        send_all(client, line, held, MSG_NOSIGNAL);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc == 2 ? atoi(argv[1]) : 0)};
    int door = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(door, (struct sockaddr *)&address, sizeof address) || listen(door, 128))
        err(2, "bind or listen");
    for (;;)
        start_thread(serve, next_client(door));
}
