/* A server that answers each line with "ok\n", and closes a connection that has been idle for as long as its second argument says, in seconds. Its
   third names its fault: none, forgets, crashes, lingers, resets, spins. With `signal` it has none: an alarm
   interrupts it, so that it closes what it was not told of. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024
struct connection {
    int fd;
    double deadline;
    char *name;
};
static struct connection all[MOST];
static double idle;
static const char *fault;
static int epoll;

static int is(const char *name) { return !strcmp(fault, name); }
static void interrupt(int signal) { (void)signal; }
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void end(struct connection *c) {
    close(c->fd);
    free(c->name), c->name = NULL, c->deadline = 0;
}

static void expire(struct connection *c) {
    if (is("forgets")) { /* the connection, but not the descriptor */
        epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
        free(c->name), c->name = NULL, c->deadline = 0;
        return;
    }
    if (is("spins") && !c->name) { /* tries again to close what is closed, at once */
        c->deadline = now();
        return;
    }
    if (is("lingers")) {
        struct linger linger = {1, (int)idle};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        send(c->fd, "bye\n", 4, MSG_NOSIGNAL);
    }
    /* One that was reset has no name any more. */
    if (is("crashes") && !c->name) abort();
    end(c);
}

static void expire_all(void) {
    for (int i = 0; i < MOST; i++) {
        if (all[i].deadline && all[i].deadline <= now()) expire(&all[i]);
    }
}

static void serve(struct connection *c) {
    char line[256];
    ssize_t length = recv(c->fd, line, sizeof line, 0);
    c->deadline = now() + idle;
    if (length > 0) {
        if (memchr(line, '\n', length)) send(c->fd, "ok\n", 3, MSG_NOSIGNAL);
    } else if ((is("crashes") || is("spins")) && length < 0 && errno != EAGAIN) {
        /* Closed, but the timer stays. */
        close(c->fd), c->fd = -1, free(c->name), c->name = NULL;
    } else if (length == 0 || errno != EAGAIN) {
        end(c);
    }
}

int main(int count, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    if (count != 4) return 2;
    address.sin_port = htons(atoi(words[1])), idle = atof(words[2]), fault = words[3];
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) return 1;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    for (;;) {
        double first = 0;
        for (int i = 0; i < MOST; i++) {
            if (all[i].deadline && (!first || all[i].deadline < first)) first = all[i].deadline;
        }
        double left = first - now();
        struct epoll_event events[16];
        int timeout = !first ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
        if (is("signal")) {
            struct itimerval alarm = {.it_value = {timeout / 1000, timeout % 1000 * 1000 + 1}};
            if (first) setitimer(ITIMER_REAL, &alarm, NULL);
            timeout = -1;
        }
        int ready = epoll_wait(epoll, events, 16, timeout);
        if (is("resets")) { /* looks at the time before it reads what has come */
            expire_all();
            ready = epoll_wait(epoll, events, 16, 0);
        }
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) {
                serve(events[i].data.ptr);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            struct connection *c = all;
            while (c < all + MOST && (c->deadline || c->name)) c++;
            if (fd < 0) usleep(100000); /* without a descriptor for it the next client waits */
            if (fd < 0 || c == all + MOST) continue;
            *c = (struct connection){.fd = fd, .deadline = now() + idle, .name = strdup("client")};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
        }
        expire_all();
    }
}
