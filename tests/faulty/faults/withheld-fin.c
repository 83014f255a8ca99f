/* Sends back what comes, one client after another, and says goodbye to a client that has nothing to say. For each of these it has a new helper.
 * Fault: the helper inherits the connection. The server closes it, and no FIN is sent.
 * Shown by: a client that half-closes before it has said anything, and waits for the end.
 * The twin accepts with SOCK_CLOEXEC. */
#include "server.h"

static pid_t helper;
static int to_helper = -1;

/* Puts a new helper in the place of the old one, which ends when its pipe has no writer. Without descriptors for another pipe there is none. */
static void renew_helper(void)
{
    int ends[2];
    if (to_helper >= 0) {
        close(to_helper);
        waitpid(helper, NULL, 0);
        to_helper = -1;
    }
    if (pipe2(ends, O_CLOEXEC))
        return;
    to_helper = ends[1];
    helper = fork();
    if (helper == 0) {
        dup2(ends[0], 0);
        execlp("cat", "cat", NULL);
        _exit(127);
    }
    close(ends[0]);
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    fcntl(door, F_SETFD, FD_CLOEXEC);
    renew_helper();
    for (;;) {
        char bytes[4096];
        int client = next_client(door);
        fcntl(client, F_SETFD, FAULTY ? 0 : FD_CLOEXEC);
        ssize_t got = receive(client, bytes, sizeof bytes, 0);
        if (got == 0) {
            renew_helper();
            send_all(client, "goodbye\n", 8, MSG_NOSIGNAL);
        } else if (got > 0 && send_all(client, bytes, got, MSG_NOSIGNAL) == 0)
            echo(client);
        close(client);
    }
}
