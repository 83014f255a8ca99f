/* Listens on ::ffff:127.0.0.1, which is 127.0.0.1 on an IPv6 socket, and sends back what it receives, one client after another.
 * The kernel lists its sockets in the IPv6 tables, while clients connect by IPv4. */
#include "common.h"

int main(int argc, char **argv)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(argc == 2 ? atoi(argv[1]) : 0)};
    int door = socket(AF_INET6, SOCK_STREAM, 0), on = 1, off = 0;
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(door, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(door, (struct sockaddr *)&address, sizeof address) || listen(door, 128))
        err(2, "::ffff:127.0.0.1");
    for (;;) {
        int client = next_client(door);
        echo(client);
        close(client);
    }
}
