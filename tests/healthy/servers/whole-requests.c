/* Answers an HTTP request when its head is complete, and closes. Until then it sends nothing, however long that takes.
 * A client that sends half of a request gets no answer, which is no hang. */
#include "common.h"
#include "loop.h"

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/* Reads on, or sends the answer: 0, or -1 if it is over. */
static int answer_requests(struct client *client)
{
    if (!client->ready) {
        size_t room = sizeof client->bytes - client->held;
        ssize_t got = receive(client->fd, client->bytes + client->held, room, MSG_DONTWAIT);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        client->held += got;
        char *end = memmem(client->bytes, client->held, "\r\n\r\n", 4);
        if (!end)
            return client->held == sizeof client->bytes ? -1 : 0;
        memcpy(client->bytes, answer, sizeof answer - 1);
        client->ready = sizeof answer - 1;
    }
    ssize_t sent = send(client->fd, client->bytes, client->ready, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    client->ready -= sent;
    memmove(client->bytes, client->bytes + sent, client->ready);
    return client->ready ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct clients all;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        if (all.called)
            welcome(&all);
        for (int i = all.count - 1; i >= 0; i--)
            if (all.at[i].seen && answer_requests(&all.at[i]))
                leave(&all, i);
    }
}
