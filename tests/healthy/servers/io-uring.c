/* Serves many clients at a time through an io_uring: it accepts, receives and sends by entries of two rings, and blocks in
 * io_uring_enter.
 * A filter of system calls sees none of these operations; the only call waits for all of them at once. */
#include "common.h"
#include <linux/io_uring.h>
#include <sys/syscall.h>

enum { ENTRIES = 256, MOST = 200, ACCEPT = 0, RECEIVE = 1, SEND = 2, TIME = 3 };

static struct {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask, pending;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static struct client {
    size_t held, sent;
    char bytes[4096];
} clients[MOST];

static void *mapped(size_t size, off_t what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);
    if (at == MAP_FAILED)
        err(1, "mmap");
    return at;
}

static void set_up(void)
{
    struct io_uring_params params = {0};
    ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring.fd < 0)
        err(1, "io_uring_setup");
    char *sq = mapped(params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = mapped(params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    ring.sqes = mapped(params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring.sq_tail = (unsigned *)(sq + params.sq_off.tail);
    ring.sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
    ring.sq_array = (unsigned *)(sq + params.sq_off.array);
    ring.cq_head = (unsigned *)(cq + params.cq_off.head);
    ring.cq_tail = (unsigned *)(cq + params.cq_off.tail);
    ring.cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

/* An entry of the next io_uring_enter. Of each client there is one at most, so that they never run out. */
static void submit(struct io_uring_sqe entry)
{
    unsigned tail = *ring.sq_tail, at = tail & *ring.sq_mask;
    ring.sqes[at] = entry;
    ring.sq_array[at] = at;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    ring.pending++;
}

static void submit_accept(int door)
{
    submit((struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = door, .user_data = ACCEPT});
}

static void submit_transfer(int client, int what)
{
    struct client *of = &clients[client];
    char *at = what == SEND ? of->bytes + of->sent : of->bytes;
    submit((struct io_uring_sqe){
        .opcode = what == SEND ? IORING_OP_SEND : IORING_OP_RECV,
        .fd = client,
        .addr = (uintptr_t)at,
        .len = what == SEND ? of->held - of->sent : sizeof of->bytes,
        .msg_flags = what == SEND ? MSG_NOSIGNAL : 0,
        .user_data = (uint64_t)client << 8 | what,
    });
}

static void accepted(int door, int result)
{
    static struct __kernel_timespec later = {.tv_nsec = SHORT_OF_DESCRIPTORS * 1000000};
    if (result < 0 && !only_this_client(-result)) {
        submit((struct io_uring_sqe){
            .opcode = IORING_OP_TIMEOUT, .addr = (uintptr_t)&later, .len = 1, .off = 0, .user_data = TIME});
        return;
    }
    if (result >= MOST)
        close(result);
    else if (result >= 0)
        submit_transfer(result, RECEIVE);
    submit_accept(door);
}

static void transferred(int client, int what, int result)
{
    struct client *of = &clients[client];
    if (result == -EINTR || result == -EAGAIN) {
        submit_transfer(client, what);
    } else if (result <= 0) {
        close(client);
    } else if (what == RECEIVE) {
        of->held = result;
        of->sent = 0;
        submit_transfer(client, SEND);
    } else {
        of->sent += result;
        submit_transfer(client, of->sent < of->held ? SEND : RECEIVE);
    }
}

int main(int argc, char **argv)
{
    int door = listener(argc, argv);
    set_up();
    submit_accept(door);
    for (;;) {
        int taken = syscall(SYS_io_uring_enter, ring.fd, ring.pending, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        ring.pending -= taken > 0 ? taken : 0;
        unsigned head = *ring.cq_head;
        while (head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) {
            struct io_uring_cqe done = ring.cqes[head++ & *ring.cq_mask];
            __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
            if (done.user_data == ACCEPT)
                accepted(door, done.res);
            else if (done.user_data == TIME)
                submit_accept(door);
            else
                transferred(done.user_data >> 8, done.user_data & 0xff, done.res);
        }
    }
}
