/* Forks for each client, and waits in epoll for the next client and for SIGCHLD on a signalfd; then it reaps.
 * A read or poll of a signalfd reports the signals of the calling process: a duplicate in another process is never readable for the
 * server's signals. */
#include "common.h"
#include <sys/signalfd.h>

int main(int argc, char **argv)
{
    sigset_t set = set_of(SIGCHLD);
    int door = listener(argc, argv), epoll = epoll_create1(EPOLL_CLOEXEC);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, door, &(struct epoll_event){.events = EPOLLIN, .data.fd = door});
    epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &(struct epoll_event){.events = EPOLLIN, .data.fd = signals});
    for (;;) {
        struct epoll_event event;
        struct signalfd_siginfo told;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == signals) {
            while (read(signals, &told, sizeof told) > 0)
                ;
            reap_all();
            continue;
        }
        int client = client_or_not(door);
        if (client >= 0)
            serve_in_a_child(door, client);
    }
}
