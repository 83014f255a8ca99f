/* Serves with epoll, and exits if a wait fails. It handles no signal, so only a stop by SIGSTOP makes a wait fail (signal(7)). Without
 * the gate `hold` is such a stop, so brokenpipe must not report this exit. */
#include "epoll.h"

int main(int argc, char **argv)
{
    int door = listener(argc, argv), epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            err(1, "epoll_wait");
        if (event.data.fd == door) {
            if (welcome(epoll, door))
                poll(NULL, 0, SHORT_OF_DESCRIPTORS);
        } else if (serve(epoll, event.data.fd)) {
            close(event.data.fd);
        }
    }
}
