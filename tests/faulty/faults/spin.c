/* Sends back lines, to many clients at a time, and reports failed connections when there is nothing else to do.
 * Fault: the server does not wait while there is a connection to report, and a reported connection stays on its list.
 * Shown by: a client that resets. From then on the server spins on poll, also when all clients have gone.
 * The twin clears the list. */
#include "clients.h"

int main(int argc, char **argv)
{
    static struct clients all;
    int to_report = 0, reported = 0;
    all.listener = listener(argc, argv);
    for (;;) {
        wait_for(&all, to_report ? 0 : -1);
        reported += to_report;
        if (!FAULTY)
            to_report = 0;
        for (int i = all.count; i-- > 0;) {
            enum served how = serve(&all.at[i]);
            to_report += how == FAILED;
            if (how != GOES_ON)
                leave(&all, i);
        }
        if (all.called)
            welcome(&all);
    }
}
