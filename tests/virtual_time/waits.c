/* Waits for 30 seconds in every way there is, and says what all clocks show of it. A client sends a line, "HOW WHO\n": the way to wait, and who
   does: main, thread, fork, vfork, exec, user. It gets "ok" or what was wrong. Iterative; a connection takes any number of lines. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 30
#define AFTER ((struct timespec){SECONDS, 0})

extern char **environ;
static const char *self;

static double of(const struct timespec *t) { return t->tv_sec + t->tv_nsec / 1e9; }
static double shown(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return of(&t);
}
static double raw(int clock) {
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return of(&t);
}

/* What all the clocks show, and how exact each of them is. */
#define CLOCKS 14
static const char *names[CLOCKS] = {"monotonic", "realtime", "raw", "rt-coarse", "mono-coarse", "boottime", "tai", "sys-mono",
                                    "sys-real", "gettimeofday", "sys-gtod", "time", "sys-time", "sysinfo"};
static const double exact[CLOCKS] = {0, 0, 0, .02, .02, 0, 0, 0, 0, 0, 0, 1, 1, 1};
static void look(double *at) {
    struct timeval t;
    struct sysinfo info;
    at[0] = shown(CLOCK_MONOTONIC), at[1] = shown(CLOCK_REALTIME), at[2] = shown(CLOCK_MONOTONIC_RAW);
    at[3] = shown(CLOCK_REALTIME_COARSE), at[4] = shown(CLOCK_MONOTONIC_COARSE), at[5] = shown(CLOCK_BOOTTIME), at[6] = shown(CLOCK_TAI);
    at[7] = raw(CLOCK_MONOTONIC), at[8] = raw(CLOCK_REALTIME);
    gettimeofday(&t, NULL), at[9] = t.tv_sec + t.tv_usec / 1e6;
    syscall(SYS_gettimeofday, &t, NULL), at[10] = t.tv_sec + t.tv_usec / 1e6;
    at[11] = time(NULL), at[12] = syscall(SYS_time, NULL);
    sysinfo(&info), at[13] = info.uptime;
}

static struct timespec in(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += SECONDS;
    return t;
}

static volatile int signals;
static void count(int signal) { (void)signal, signals++; }
static void check(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    signals += info->si_code == SI_TIMER && info->si_value.sival_int == 42 ? 1 : 100;
}
static sem_t told;
static void tell(union sigval value) { (void)value, sem_post(&told); }
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static void *hold(void *unused) {
    pthread_mutex_lock(&held), sem_post(&told);
    for (;;) pause();
    return unused;
}

/* A POSIX timer that goes off after the time. */
static timer_t timer(int clock, int absolute) {
    struct sigaction action = {.sa_sigaction = check, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    struct itimerspec after = {.it_value = absolute ? in(clock) : AFTER};
    timer_t timer;
    sigaction(SIGUSR1, &action, NULL), signals = 0;
    timer_create(clock, &event, &timer);
    timer_settime(timer, absolute ? TIMER_ABSTIME : 0, &after, NULL);
    return timer;
}

/* Waits; returns whether the call gave what it gives when its time is up. -1: there is no such way. */
static int wait_so(const char *how) {
    struct timespec t = AFTER;
    struct timeval v = {SECONDS, 0};
    int pipes[2], ok;
    char byte;
    if (pipe(pipes)) return 0;
#define IS(name) (!strcmp(how, name))
    if (IS("nanosleep")) return nanosleep(&t, NULL) == 0;
    if (IS("nanosleep-abs-monotonic")) return t = in(CLOCK_MONOTONIC), clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0;
    if (IS("nanosleep-abs-realtime")) return t = in(CLOCK_REALTIME), clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == 0;
    if (IS("nanosleep-boottime")) return clock_nanosleep(CLOCK_BOOTTIME, 0, &t, NULL) == 0;
    if (IS("sleep")) return sleep(SECONDS) == 0;
    if (IS("usleep")) return usleep(SECONDS * 1000000) == 0;
    if (IS("thrd_sleep")) return thrd_sleep(&t, NULL) == 0;
    if (IS("poll-nothing")) return poll(NULL, 0, SECONDS * 1000) == 0;
    struct pollfd polled = {pipes[0], POLLIN, 7};
    if (IS("poll")) return poll(&polled, 1, SECONDS * 1000) == 0 && polled.revents == 0;
    if (IS("ppoll")) return ppoll(&polled, 1, &t, NULL) == 0 && polled.revents == 0;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    if (IS("select")) return select(pipes[0] + 1, &set, NULL, NULL, &v) == 0 && !FD_ISSET(pipes[0], &set) && !v.tv_sec && !v.tv_usec;
    if (IS("pselect")) return pselect(pipes[0] + 1, &set, NULL, NULL, &t, NULL) == 0 && !FD_ISSET(pipes[0], &set);
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event);
    if (IS("epoll_wait")) return epoll_wait(epoll, &event, 1, SECONDS * 1000) == 0;
    if (IS("epoll_pwait2")) return epoll_pwait2(epoll, &event, 1, &t, NULL) == 0;
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    if (IS("sem_timedwait")) return t = in(CLOCK_REALTIME), sem_timedwait(&semaphore, &t) < 0 && errno == ETIMEDOUT;
    if (IS("sem_clockwait")) return t = in(CLOCK_MONOTONIC), sem_clockwait(&semaphore, CLOCK_MONOTONIC, &t) < 0 && errno == ETIMEDOUT;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    if (IS("cond_timedwait")) return t = in(CLOCK_REALTIME), pthread_cond_timedwait(&condition, &mutex, &t) == ETIMEDOUT;
    if (IS("cond_clockwait")) return t = in(CLOCK_MONOTONIC), pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &t) == ETIMEDOUT;
    int word = 0;
    if (IS("futex")) return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t) < 0 && errno == ETIMEDOUT;
    if (IS("mutex_timedlock")) {
        pthread_t holder;
        sem_init(&told, 0, 0), pthread_create(&holder, NULL, hold, NULL), sem_wait(&told);
        t = in(CLOCK_REALTIME), ok = pthread_mutex_timedlock(&held, &t) == ETIMEDOUT;
        pthread_cancel(holder), pthread_join(holder, NULL), held = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        return ok;
    }
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) return 0;
    setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v);
    if (IS("recv-timeout")) return recv(sockets[0], &byte, 1, 0) < 0 && errno == EAGAIN;
    if (IS("read-timeout")) return read(sockets[0], &byte, 1) < 0 && errno == EAGAIN;
    if (IS("accept-timeout")) {
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v);
        return listen(listener, 1) == 0 && accept(listener, NULL, NULL) < 0 && errno == EAGAIN && close(listener) == 0;
    }
    sigset_t signal_set;
    sigemptyset(&signal_set), sigaddset(&signal_set, SIGUSR2), pthread_sigmask(SIG_BLOCK, &signal_set, NULL);
    if (IS("sigtimedwait")) return sigtimedwait(&signal_set, NULL, &t) < 0 && errno == EAGAIN;
    unsigned long expired = 0, more;
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec once = {.it_value = AFTER}, each = {{SECONDS / 3, 0}, {SECONDS / 3, 0}};
    if (IS("timerfd")) return timerfd_settime(descriptor, 0, &once, NULL), read(descriptor, &expired, 8) == 8 && expired == 1;
    if (IS("timerfd-interval")) {
        timerfd_settime(descriptor, 0, &each, NULL);
        for (int i = 0; i < 3; i++) expired += read(descriptor, &more, 8) == 8 ? more : 100;
        return expired == 3;
    }
    if (IS("timerfd-read-late")) {
        timerfd_settime(descriptor, 0, &each, NULL), t.tv_nsec = 1000000, nanosleep(&t, NULL);
        return read(descriptor, &expired, 8) == 8 && expired == 3;
    }
    if (IS("timerfd-absolute")) {
        int absolute = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
        once.it_value = in(CLOCK_REALTIME), timerfd_settime(absolute, TFD_TIMER_ABSTIME, &once, NULL);
        return read(absolute, &expired, 8) == 8 && expired == 1 && close(absolute) == 0;
    }
    if (IS("timerfd-epoll")) {
        timerfd_settime(descriptor, 0, &once, NULL), epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
        return epoll_wait(epoll, &event, 1, -1) == 1 && read(descriptor, &expired, 8) == 8 && expired == 1;
    }
    if (IS("timerfd-shared")) { /* by a child, so that two processes have it */
        timerfd_settime(descriptor, 0, &each, NULL);
        pid_t child = fork();
        if (child == 0) pause();
        for (int i = 0; i < 3; i++) expired += read(descriptor, &more, 8) == 8 ? more : 100;
        return kill(child, SIGKILL), waitpid(child, NULL, 0), expired == 3;
    }
    struct sigaction counted = {.sa_handler = count};
    sigaction(SIGALRM, &counted, NULL), signals = 0;
    if (IS("alarm")) return alarm(SECONDS), pause(), signals == 1;
    if (IS("alarm-left")) return alarm(SECONDS + 20), nanosleep(&t, NULL), alarm(0) == 20;
    if (IS("setitimer")) {
        struct itimerval tick = {{SECONDS / 3, 0}, {SECONDS / 3, 0}}, none = {{0, 0}, {0, 0}}, left;
        setitimer(ITIMER_REAL, &tick, NULL);
        while (signals < 3) pause();
        getitimer(ITIMER_REAL, &left), setitimer(ITIMER_REAL, &none, NULL);
        return left.it_value.tv_sec == SECONDS / 3 - 1;
    }
    if (IS("timer_create")) return timer(CLOCK_MONOTONIC, 0), pause(), signals == 1;
    if (IS("timer_create-absolute")) return timer(CLOCK_REALTIME, 1), pause(), signals == 1;
    if (IS("timer_gettime")) {
        struct itimerspec left;
        timer_t later = timer(CLOCK_BOOTTIME, 0);
        t.tv_sec -= 10, nanosleep(&t, NULL), timer_gettime(later, &left);
        return left.it_value.tv_sec == 9 && signals == 0 && (pause(), signals == 1) && timer_delete(later) == 0;
    }
    if (IS("timer_create-thread")) {
        struct sigevent call = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell};
        timer_t timer;
        sem_init(&told, 0, 0), timer_create(CLOCK_MONOTONIC, &call, &timer), timer_settime(timer, 0, &once, NULL);
        while (sem_wait(&told) < 0) {}
        return timer_delete(timer) == 0;
    }
    return -1;
}

/* Waits, and writes "ok" or what was wrong. */
static void measure(const char *how, char *out, size_t room) {
    double before[CLOCKS], after[CLOCKS];
    look(before);
    int gave = wait_so(how);
    look(after);
    snprintf(out, room, gave == 1 ? "ok" : gave == 0 ? "wrong result" : "no such way");
    for (int i = 0; gave == 1 && i < CLOCKS; i++) {
        double passed = after[i] - before[i];
        /* Never too early. Late is what a busy machine makes of it. */
        if (passed < SECONDS - exact[i] - 1e-5 || passed > SECONDS + exact[i] + 5) {
            snprintf(out, room, "%s: %.6f s", names[i], passed);
            return;
        }
    }
}

struct work {
    const char *how;
    char said[64];
};
static void *in_thread(void *work) {
    struct work *this = work;
    measure(this->how, this->said, sizeof this->said);
    return NULL;
}

static void serve(const char *how, const char *who, char *out, size_t room) {
    struct work work = {how, ""};
    int result[2];
    if (!strcmp(who, "main")) return measure(how, out, room);
    if (!strcmp(who, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, &work), pthread_join(thread, NULL);
        snprintf(out, room, "%s", work.said);
        return;
    }
    if (pipe2(result, O_CLOEXEC)) return;
    char number[12];
    snprintf(number, sizeof number, "%d", result[1]);
    char *arguments[] = {(char *)self, "--wait", (char *)how, number, NULL};
    pid_t child = 0;
    if (!strcmp(who, "vfork")) {
        fcntl(result[1], F_SETFD, 0);
        posix_spawn(&child, self, NULL, NULL, arguments, environ);
    } else if ((child = fork()) == 0) {
        if (!strcmp(who, "exec")) {
            fcntl(result[1], F_SETFD, 0);
            execv("/nonexistent", arguments); /* one that fails */
            execv(self, arguments);
        }
        if (!strcmp(who, "user") && setuid(65534)) _exit(1);
        measure(how, work.said, sizeof work.said);
        _exit(write(result[1], work.said, strlen(work.said)) < 0);
    }
    close(result[1]);
    ssize_t length = read(result[0], out, room - 1);
    out[length > 0 ? length : 0] = 0;
    close(result[0]), waitpid(child, NULL, 0);
}

int main(int count, char **words) {
    char line[128], said[64];
    if (count == 4 && !strcmp(words[1], "--wait")) {
        measure(words[2], said, sizeof said);
        return write(atoi(words[3]), said, strlen(said)) < 0;
    }
    self = words[0];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) return 1;
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        ssize_t length;
        while (client >= 0 && (length = recv(client, line, sizeof line - 1, 0)) > 0) {
            char how[64] = "", who[16] = "";
            line[length] = 0;
            sscanf(line, "%63s %15s", how, who);
            snprintf(said, sizeof said, "no answer");
            if (*how) serve(how, who, said, sizeof said);
            send(client, said, strlen(said), MSG_NOSIGNAL);
        }
        close(client);
    }
}
