/* Sends back what comes, one client after another, and has a helper, which it ends with SIGNAL and starts again whenever a connection
 * has failed. That a process of a server is killed by a signal is no crash if it was the server that sent it, by whichever call, SIGABRT
 * as well: so a core is had of a helper that hangs. */
#include "common.h"
#include <sys/syscall.h>

static inline void by_kill(pid_t child) { kill(child, SIGNAL); }
static inline void by_tgkill(pid_t child) { syscall(SYS_tgkill, child, child, SIGNAL); }
static inline void by_sigqueue(pid_t child) { sigqueue(child, SIGNAL, (union sigval){0}); }
static inline void by_pidfd(pid_t child)
{
    int fd = syscall(SYS_pidfd_open, child, 0);
    /* Whoever is short of descriptors has the number still. */
    if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGNAL, NULL, 0))
        by_kill(child);
    if (fd >= 0)
        close(fd);
}

static pid_t helper(int door)
{
    pid_t child = fork();
    if (child == 0) {
        close(door);
        for (;;)
            pause();
    }
    return child;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    pid_t child = helper(door);
    for (;;) {
        int client = next_client(door), failed = echo(client);
        close(client);
        if (failed && child > 0) {
            SEND(child);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
            child = helper(door);
        }
    }
}
