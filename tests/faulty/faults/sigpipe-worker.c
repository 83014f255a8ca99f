/* One worker process serves all clients, and its parent replaces it if it ends. The worker answers each piece in two sends, like a head
 * and a body.
 * Fault: they are sent without MSG_NOSIGNAL, and the result of the first is ignored: the second kills the worker, which ends the
 * connections of all clients.
 * Shown by: a request whose client has closed or reset before the answer; the server is held until then.
 * The twin passes MSG_NOSIGNAL and closes the connection when a send fails. */
#include "clients.h"

static enum served answer(struct client *client)
{
    char bytes[4096];
    int flags = FAULTY ? 0 : MSG_NOSIGNAL;
    if (!(client->seen & ~POLLPRI))
        return GOES_ON;
    ssize_t got = receive(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0)
        return got == 0 ? ENDED : errno == EAGAIN ? GOES_ON : FAILED;
    int failed = send_all(client->fd, bytes, 1, flags);
    if (failed && !FAULTY)
        return FAILED;
    return send_all(client->fd, bytes + 1, got - 1, flags) ? FAILED : GOES_ON;
}

static void work(int listener)
{
    static struct clients all;
    all.listener = listener;
    for (;;) {
        wait_for(&all, -1);
        for (int i = all.count; i-- > 0;)
            if (answer(&all.at[i]) != GOES_ON)
                leave(&all, i);
        if (all.called)
            welcome(&all);
    }
}

int main(int argc, char **argv)
{
    static const char said[] = "a child was killed by SIGPIPE\n";
    int door = listener(argc, argv), status;
    for (;;) {
        if (fork() == 0)
            work(door);
        while (wait(&status) < 0)
            ;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE && write(2, said, sizeof said - 1) < 0)
            break;
    }
}
