/* Preloaded into a server, it fails one call with the error whose number is in the file `fail-accept`, `fail-recv` or `fail-send`, and removes
 * the file. No order of events leads to some of these errors; so it is seen without brokenpipe what a server makes of them.
 * Only calls on sockets of the internet fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_of_the_internet(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6);
}

static int fails(int fd, const char *name)
{
    static ssize_t (*read_on)(int, void *, size_t);
    char number[8] = "";
    int before = errno, file = -1, error = 0;
    if (!read_on)
        read_on = dlsym(RTLD_NEXT, "read");
    if (is_of_the_internet(fd) && (file = open(name, O_RDONLY | O_CLOEXEC)) >= 0) {
        ssize_t got = read_on(file, number, sizeof number - 1);
        close(file);
        /* Of several that read it one removes it. */
        error = got > 0 && unlink(name) == 0 ? atoi(number) : 0;
    }
    errno = error ? error : before;
    return error;
}

#define CALL(result, name, file, parameters, arguments)             \
    result name parameters                                          \
    {                                                               \
        static result (*next) parameters;                           \
        if (!next)                                                  \
            next = (result(*) parameters)dlsym(RTLD_NEXT, #name);   \
        return fails(fd, file) ? -1 : next arguments;               \
    }

CALL(int, accept, "fail-accept", (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
CALL(int, accept4, "fail-accept", (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags))
CALL(ssize_t, read, "fail-recv", (int fd, void *to, size_t count), (fd, to, count))
CALL(ssize_t, readv, "fail-recv", (int fd, const struct iovec *to, int count), (fd, to, count))
CALL(ssize_t, recv, "fail-recv", (int fd, void *to, size_t count, int flags), (fd, to, count, flags))
CALL(ssize_t, recvmsg, "fail-recv", (int fd, struct msghdr *to, int flags), (fd, to, flags))
CALL(ssize_t, write, "fail-send", (int fd, const void *from, size_t count), (fd, from, count))
CALL(ssize_t, writev, "fail-send", (int fd, const struct iovec *from, int count), (fd, from, count))
CALL(ssize_t, send, "fail-send", (int fd, const void *from, size_t count, int flags), (fd, from, count, flags))
CALL(ssize_t, sendmsg, "fail-send", (int fd, const struct msghdr *from, int flags), (fd, from, flags))
