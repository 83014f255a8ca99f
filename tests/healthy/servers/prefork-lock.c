/* Three child processes share the listener and take turns at accept, behind a LOCK: flock, a semaphore, or a mutex (a futex).
 * A child that waits for its turn is blocked in a call that no client can end; only another child can. */
#include "common.h"
#include <sys/file.h>

enum { CHILDREN = 3 };

static struct shared {
    sem_t semaphore;
    pthread_mutex_t mutex;
} *shared;

static int file;

static inline void flock_open(void)
{
    /* Of each child its own: a lock is of an open file. */
    file = open("accept.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}
static inline void flock_take(void)
{
    while (flock(file, LOCK_EX) && errno == EINTR)
        ;
}
static inline void flock_give(void) { flock(file, LOCK_UN); }

static inline void semaphore_open(void) {}
static inline void semaphore_take(void)
{
    while (sem_wait(&shared->semaphore) && errno == EINTR)
        ;
}
static inline void semaphore_give(void) { sem_post(&shared->semaphore); }

static inline void futex_open(void) {}
static inline void futex_take(void) { pthread_mutex_lock(&shared->mutex); }
static inline void futex_give(void) { pthread_mutex_unlock(&shared->mutex); }

#define CALL_(lock, what) lock##_##what()
#define CALL(lock, what) CALL_(lock, what)

static void serve(int door)
{
    CALL(LOCK, open);
    for (;;) {
        CALL(LOCK, take);
        int client = next_client(door);
        CALL(LOCK, give);
        echo(client);
        close(client);
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    pthread_mutexattr_t attributes;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&shared->semaphore, 1, 1);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attributes);
    for (int child = 0; child < CHILDREN; child++)
        if (fork() == 0)
            serve(door);
    for (;;)
        pause();
}
