/* Forks for each client, and reaps when a wait was interrupted: SIGCHLD is blocked except while the server waits in pselect. It has a
 * socket to each child, so the end of a child also makes this socket readable. If a descriptor is ready, pselect restores the mask
 * before the signal is delivered, and the signal is left to the next wait. A tool that regards the signal as handled would see a zombie
 * for each client. */
#include "common.h"
#include <sys/select.h>

enum { MOST = 256 };

static volatile sig_atomic_t ended;
static void note(int signal) { ended = signal; }

int main(int argc, char **argv)
{
    static int children[MOST];
    int door = listener(argc, argv), count = 0;
    sigset_t blocked = set_of(SIGCHLD), open;
    sigprocmask(SIG_BLOCK, &blocked, &open);
    on(SIGCHLD, note);
    for (;;) {
        fd_set readable;
        int most = door;
        FD_ZERO(&readable);
        FD_SET(door, &readable);
        for (int i = 0; i < count; i++) {
            FD_SET(children[i], &readable);
            most = children[i] > most ? children[i] : most;
        }
        int ready = pselect(most + 1, &readable, NULL, NULL, NULL, &open);
        if (ended) {
            ended = 0;
            reap_all();
        }
        if (ready <= 0)
            continue;
        for (int i = count; i-- > 0;) {
            char byte;
            if (FD_ISSET(children[i], &readable) && receive(children[i], &byte, 1, 0) <= 0) {
                close(children[i]);
                children[i] = children[--count];
            }
        }
        int client = FD_ISSET(door, &readable) ? client_or_not(door) : -1, ends[2];
        if (client < 0)
            continue;
        if (count == MOST || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
            close(client);
            continue;
        }
        children[count++] = ends[0];
        if (fork() == 0) {
            sigprocmask(SIG_SETMASK, &open, NULL);
            for (int i = 0; i < count; i++)
                close(children[i]);
            close(door);
            echo(client);
            _exit(0);
        }
        close(ends[1]);
        close(client);
    }
}
