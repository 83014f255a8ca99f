/* Serves many clients at a time. After 10 failed connections within a second it accepts new connections and closes them at once, for 3
 * s.
 * This is an intended defence, and the server logs it. It is the only healthy server for which a hunt must report something. */
#include "common.h"
#include "loop.h"

enum { ABORTS = 10, WITHIN = 1000, REFUSES = 3000 /* ms */ };

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    static struct clients all;
    static long aborts[ABORTS], refuses_until;
    unsigned count = 0;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, -1);
        if (all.called) {
            int before = all.count;
            welcome(&all);
            if (all.count > before && now() < refuses_until)
                leave(&all, before);
        }
        for (int i = all.count - 1; i >= 0; i--) {
            enum served how = serve(&all.at[i]);
            if (how == GOES_ON)
                continue;
            leave(&all, i);
            if (how == FAILED) {
                long *oldest = &aborts[count++ % ABORTS];
                if (*oldest && now() - *oldest < WITHIN && now() >= refuses_until) {
                    refuses_until = now() + REFUSES;
                    fprintf(stderr, "too many aborted connections: new ones are refused for %d s\n", REFUSES / 1000);
                }
                *oldest = now();
            }
        }
    }
}
