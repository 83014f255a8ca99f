/* Has a child for each client, in a network namespace of its own if it may have one, as vsftpd does. To make one takes the kernel some
 * milliseconds, in which the task is in the state of one that waits for a disk: it is not idle, and whoever waits for an answer gets it. */
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
