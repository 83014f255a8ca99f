/* Forks a child process for each client, in a network namespace of its own if that is allowed, as vsftpd does. The kernel takes some
 * milliseconds to create the namespace. Meanwhile the task is in state D, as if it waited for a disk: it is not idle, and its client
 * will be answered. */
#include "common.h"
#include <sched.h>
#include <sys/syscall.h>

static pid_t fork_alone(void)
{
    pid_t child = syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
    return child < 0 ? fork() : child;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = next_client(door);
        if (fork_alone() == 0) {
            close(door);
            echo(client);
            _exit(0);
        }
        close(client);
    }
}
