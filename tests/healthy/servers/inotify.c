/* Renames a file for each line that it receives; a child process that watches the folder renames it back, and then the line is sent
 * back. Both are notified by inotify. Between request and answer no socket and no pipe is readable, and no call has a time limit. */
#include "common.h"
#include <sys/inotify.h>

static int watched(const char *folder, uint32_t events)
{
    int inotify = inotify_init1(IN_CLOEXEC);
    if (inotify < 0 || inotify_add_watch(inotify, folder, events) < 0)
        err(1, "inotify");
    return inotify;
}

/* Waits until a file of this name is there, and forgets what else it was told. Of the client it wants to know nothing meanwhile. */
static void wait_for_file(int inotify, int client, const char *name)
{
    static char told[1 << 16] __attribute__((aligned(8)));
    while (access(name, F_OK)) {
        struct pollfd polls[] = {{.fd = inotify, .events = POLLIN}, {.fd = client, .events = 0}};
        /* A client who has gone would wake it again and again. */
        if (poll(polls, 2, -1) > 0 && polls[1].revents)
            client = -1;
        if (polls[0].revents && read(inotify, told, sizeof told) < 0)
            continue;
    }
}

int main(int argc, char **argv)
{
    char folder[] = "spool-XXXXXX";
    int door = listener(argc, argv);
    if (!mkdtemp(folder) || chdir(folder))
        err(1, "%s", folder);
    int questions = watched(".", IN_CREATE | IN_MOVED_TO), answers = watched(".", IN_MOVED_TO);
    if (fork() == 0) {
        close(door);
        for (;;) {
            wait_for_file(questions, -1, "question");
            if (rename("question", "answer"))
                warn("rename");
        }
    }
    for (;;) {
        char line[4096];
        ssize_t got;
        int client = next_client(door);
        while ((got = receive(client, line, sizeof line, 0)) > 0) {
            int question = open("question", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
            if (question < 0)
                break;
            close(question);
            wait_for_file(answers, client, "answer");
            unlink("answer");
            if (send_all(client, line, got, MSG_NOSIGNAL))
                break;
        }
        close(client);
    }
}
