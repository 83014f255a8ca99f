/* Serves many clients with epoll, without a time limit; everything that it does later is triggered by a timerfd. It closes a connection
 * 10 ms after its end, and repeats a failed accept then. A tool that does not know timerfds would report a leak or a hang. */
#include "epoll.h"
#include <sys/timerfd.h>

enum { LATER = 10 * 1000 * 1000 /* ns */ };

int main(int argc, char **argv)
{
    static int late[MOST];
    int door = listener(argc, argv), epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), count = 0;
    watch(epoll, EPOLL_CTL_ADD, door, EPOLLIN);
    watch(epoll, EPOLL_CTL_ADD, timer, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        int is_set = 0;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == timer) {
            uint64_t times;
            if (read(timer, &times, sizeof times) < 0)
                continue;
            while (count > 0)
                close(late[--count]);
            watch(epoll, EPOLL_CTL_MOD, door, EPOLLIN);
        } else if (event.data.fd == door) {
            is_set = welcome(epoll, door);
            if (is_set)
                watch(epoll, EPOLL_CTL_MOD, door, 0);
        } else if (serve(epoll, event.data.fd)) {
            epoll_ctl(epoll, EPOLL_CTL_DEL, event.data.fd, NULL);
            late[count++] = event.data.fd;
            is_set = 1;
        }
        if (is_set)
            timerfd_settime(timer, 0, &(struct itimerspec){.it_value.tv_nsec = LATER}, NULL);
    }
}
