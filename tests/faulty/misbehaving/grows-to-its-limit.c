/* A pool of threads sends back what it receives. Each client starts one more thread, up to 64. The threads stay, and wait for the next
 * client. */
#include "server.h"

enum { MOST = 64, QUEUE = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static int queue[QUEUE];
static unsigned first, last;

static void *work(void *argument)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (first == last)
            pthread_cond_wait(&more, &lock);
        int client = queue[first++ % QUEUE];
        pthread_mutex_unlock(&lock);
        echo(client);
        close(client);
    }
    return argument;
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    for (int threads = 0;; threads++) {
        int client = next_client(door);
        pthread_mutex_lock(&lock);
        queue[last++ % QUEUE] = client;
        pthread_cond_signal(&more);
        pthread_mutex_unlock(&lock);
        if (threads < MOST)
            start_thread(work, 0);
    }
}
