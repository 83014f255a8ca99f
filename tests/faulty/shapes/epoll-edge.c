/* Sends back what it receives, to many clients at a time, in one edge-triggered epoll loop: each ready descriptor is read or written
 * until EAGAIN. */
#include "server.h"

enum { MOST = 1024 };

static struct {
    size_t held;
    char bytes[4096];
} clients[MOST];

static void watch(int epoll, int client)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = client};
    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
}

/* Accepts all that wait: 0, or -1 if some may be left that no edge will tell of. */
static int welcome(int epoll, int door)
{
    for (;;) {
        int client = accept4(door, NULL, NULL, SOCK_NONBLOCK);
        if (client >= MOST) {
            close(client);
        } else if (client >= 0) {
            clients[client].held = 0;
            watch(epoll, client);
        } else if (errno == EAGAIN) {
            return 0;
        } else if (!only_this_client(errno)) {
            return -1;
        }
    }
}

/* Reads and sends back until either would wait: 0, or -1 if it is over. */
static int serve(int client)
{
    size_t *held = &clients[client].held;
    char *bytes = clients[client].bytes;
    for (;;) {
        if (*held == 0) {
            ssize_t got = receive(client, bytes, sizeof clients->bytes, 0);
            if (got <= 0)
                return got < 0 && errno == EAGAIN ? 0 : -1;
            *held = got;
        }
        ssize_t sent = send(client, bytes, *held, MSG_NOSIGNAL);
        if (sent > 0)
            memmove(bytes, bytes + sent, *held -= sent);
        else if (errno != EINTR)
            return errno == EAGAIN ? 0 : -1;
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0), left = 0;
    fcntl(door, F_SETFL, fcntl(door, F_GETFL) | O_NONBLOCK);
    watch(epoll, door);
    for (;;) {
        struct epoll_event event;
        int some = epoll_wait(epoll, &event, 1, left ? SHORT_OF_DESCRIPTORS : -1) == 1;
        if (left || (some && event.data.fd == door))
            left = welcome(epoll, door);
        if (some && event.data.fd != door && serve(event.data.fd))
            close(event.data.fd);
    }
}
