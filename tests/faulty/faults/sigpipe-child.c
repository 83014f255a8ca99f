/* Forks for each client; the child answers each piece in two sends, like a head and a body.
 * Fault: they are sent without MSG_NOSIGNAL, and the result of the first is ignored: the second kills the child.
 * Shown by: a request whose client has closed or reset before the answer; the server is held until then.
 * The twin passes MSG_NOSIGNAL and ends when a send fails. */
#include "server.h"

static void answer(int client)
{
    char bytes[4096];
    ssize_t got;
    int flags = FAULTY ? 0 : MSG_NOSIGNAL;
    while ((got = receive(client, bytes, sizeof bytes, 0)) > 0) {
        int failed = send_all(client, bytes, 1, flags);
        if (failed && !FAULTY)
            return;
        if (send_all(client, bytes + 1, got - 1, flags))
            return;
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    reap_children();
    for (;;) {
        int client = next_client(door);
        if (fork() == 0) {
            close(door);
            answer(client);
            _exit(0);
        }
        close(client);
    }
}
