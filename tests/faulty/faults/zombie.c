/* Forks for each client; the child sends back what it receives, and tells its parent over a pipe when it is done, so that the parent
 * reaps it.
 * Fault: a child whose connection failed tells the parent nothing, and stays a zombie.
 * Shown by: a client that resets.
 * The twin's child tells the parent in either case. */
#include "server.h"

int main(int argc, char **argv)
{
    int done[2], door = listener(argc, argv);
    pid_t child;
    if (pipe(done))
        err(1, "pipe");
    for (;;) {
        struct pollfd polls[] = {{.fd = door, .events = POLLIN}, {.fd = done[0], .events = POLLIN}};
        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[1].revents && read(done[0], &child, sizeof child) == sizeof child)
            waitpid(child, NULL, 0);
        if (!polls[0].revents)
            continue;
        int client = next_client(door);
        if (fork() == 0) {
            close(door);
            int failed = echo(client);
            child = getpid();
            if ((!failed || !FAULTY) && write(done[1], &child, sizeof child) < 0)
                _exit(1);
            _exit(0);
        }
        close(client);
    }
}
