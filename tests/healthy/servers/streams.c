/* Sends back what comes, one client after another. A client that half-closes before it has said anything gets its news from a child: the
 * server greets it, leaves the connection to the child and closes its own descriptor. The news come with the next client. Until then
 * the child waits without a time limit, and has made no call on the connection: its FIN is withheld by nobody, for the connection goes on.
 * The child is a copy of the server (CHILD is by_fork) or a shell that is told of the descriptor (by_exec). */
#include "common.h"

static int news = -1;

static inline void by_fork(int from, int client)
{
    char bytes[16];
    while (read(from, bytes, sizeof bytes) < 0 && errno == EINTR)
        ;
    send_all(client, "news\n", 5, MSG_NOSIGNAL);
    _exit(0);
}

static inline void by_exec(int from, int client)
{
    char script[64];
    snprintf(script, sizeof script, "trap '' PIPE; read -r line; echo news >&%d", client);
    dup2(from, 0);
    execlp("bash", "bash", "-c", script, NULL);
    _exit(127);
}

/* Has a child wait for the news, unless there is no room for another: then there are none for this client. */
static void subscribe(int client)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return;
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        CHILD(ends[0], client);
    }
    close(ends[0]);
    if (child < 0)
        close(ends[1]);
    else
        news = ends[1];
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    fcntl(door, F_SETFD, FD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        char bytes[4096];
        int client = next_client(door);
        if (news >= 0) {
            /* The child reads the end of the pipe, which is news as well. */
            close(news);
            news = -1;
        }
        ssize_t got = receive(client, bytes, sizeof bytes, 0);
        if (got == 0 && send_all(client, "subscribed\n", 11, MSG_NOSIGNAL) == 0)
            subscribe(client);
        else if (got > 0 && send_all(client, bytes, got, MSG_NOSIGNAL) == 0)
            echo(client);
        close(client);
    }
}
