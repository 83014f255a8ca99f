/* Sends back what it receives, one client after another, and has a helper process, which it kills with SIGNAL and starts again whenever
 * a connection has failed. A process that is killed by a signal from the server itself has not crashed, whichever call sends the signal.
 * SIGABRT is no exception: servers send it to get a core dump of a hanging helper. */
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
