/* Threads that wait with time limits and wake one another. A client sends a line with a number of seconds, for which they do so, and gets "ok",
   or how many waits ended too early, and how many wakes were lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAKERS 5
#define MAKERS 3
#define NANO 1000000000L

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static long tokens, made, taken, until;
static atomic_long early, waits, timeouts;

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NANO + t.tv_nsec;
}

/* Takes tokens; waits for 1 to 50 ms for each. */
static void *take(void *number) {
    unsigned seed = (long)number;
    while (now() < until) {
        long deadline = now() + (rand_r(&seed) % 50 + 1) * 1000000L;
        struct timespec t = {deadline / NANO, deadline % NANO};
        int result = 0;
        pthread_mutex_lock(&lock);
        waits++;
        while (!tokens && result != ETIMEDOUT) result = pthread_cond_clockwait(&more, &lock, CLOCK_MONOTONIC, &t);
        if (tokens) {
            tokens--, taken++;
        } else {
            timeouts++;
            if (now() < deadline) early++;
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Makes up to 3 tokens each 1 to 30 ms. */
static void *make(void *number) {
    unsigned seed = (long)number;
    while (now() < until) {
        int ms = rand_r(&seed) % 30 + 1, count = rand_r(&seed) % 4;
        long deadline = now() + ms * 1000000L;
        struct timespec t = {0, ms * 1000000L};
        if (seed & 4) poll(NULL, 0, ms);
        else nanosleep(&t, NULL);
        if (now() < deadline) early++;
        pthread_mutex_lock(&lock);
        tokens += count, made += count;
        if (count > 1) pthread_cond_broadcast(&more);
        else if (count) pthread_cond_signal(&more);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Sleeps for so long that the whole must be over by then, unless a wake is lost and threads wait for each other for ever. */
static void run(int seconds, char *said, size_t room) {
    pthread_t threads[TAKERS + MAKERS];
    long start = now();
    until = start + seconds * NANO;
    tokens = made = taken = early = waits = timeouts = 0;
    for (long i = 0; i < TAKERS + MAKERS; i++) pthread_create(&threads[i], NULL, i < TAKERS ? take : make, (void *)(i * 77 + 1));
    for (int i = 0; i < TAKERS + MAKERS; i++) pthread_join(threads[i], NULL);
    double took = (now() - start) / 1e9;
    int right = !early && made == taken + tokens && timeouts && taken && took < seconds + 2;
    if (right) snprintf(said, room, "ok");
    else snprintf(said, room, "early %ld, %.1f s, %ld of %ld", early, took, taken + tokens, made);
    fprintf(stderr, "%ld waits, %ld timeouts, %ld early, %ld taken of %ld, %.3f s\n", waits, timeouts, early, taken, made, took);
}

int main(int count, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (count < 2) return 2;
    address.sin_port = htons(atoi(words[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) return 1;
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char line[32], said[64];
        ssize_t length;
        while (client >= 0 && (length = recv(client, line, sizeof line - 1, 0)) > 0) {
            line[length] = 0;
            run(atoi(line), said, sizeof said);
            send(client, said, strlen(said), MSG_NOSIGNAL);
        }
        close(client);
    }
}
