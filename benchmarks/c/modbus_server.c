/* A Modbus TCP server as lean as epoll allows, so that a benchmark measures its client.
 *
 * modbus_server FILE UNITS STILL [DEAD]
 *   FILE   UNITS x 125 registers, uint16 big-endian, mapped: whoever maps it too changes what instruments show
 *   STILL  1: values stay; 0: they move once a second
 *   DEAD   a unit that never answers
 * Prints its port. Answers function 3 for units 1 to UNITS.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { REGISTERS = 125, CONNECTIONS = 1024, FRAME = 12, IN = 4096, OUT = 1 << 17 };

static uint8_t *held;
static int units, dead;
static struct { uint8_t rest[FRAME]; int have; } state[CONNECTIONS];

static void move(void) {
    static unsigned turn;
    turn++;
    for (int i = 0; i < units * REGISTERS; i++) {
        unsigned raw = 200 + (i * 7 + turn * 5) % 4; /* 20.0 to 20.3 with scale 0.1 */
        held[2 * i] = raw >> 8;
        held[2 * i + 1] = raw & 255;
    }
}

static int reply(const uint8_t *ask, uint8_t *out) {
    int unit = ask[6], at = ask[8] << 8 | ask[9], count = ask[10] << 8 | ask[11];
    if (unit == dead) return 0;
    memcpy(out, ask, 4);
    out[6] = unit;
    if (ask[7] != 3 || unit < 1 || unit > units || count < 1 || at + count > REGISTERS) {
        out[4] = 0, out[5] = 3, out[7] = ask[7] | 0x80, out[8] = 2;
        return 9;
    }
    out[4] = (3 + 2 * count) >> 8, out[5] = (3 + 2 * count) & 255, out[7] = 3, out[8] = 2 * count;
    memcpy(out + 9, held + 2 * ((unit - 1) * REGISTERS + at), 2 * count);
    return 9 + 2 * count;
}

static int serve(int fd) {
    static uint8_t in[IN + FRAME], out[OUT];
    int have = state[fd].have, used = 0, size = 0;
    memcpy(in, state[fd].rest, have);
    int got = read(fd, in + have, IN);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return 0;
    for (have += got; have - used >= FRAME; used += FRAME) size += reply(in + used, out + size);
    state[fd].have = have - used;
    memcpy(state[fd].rest, in + used, have - used);
    for (int sent = 0; sent < size;) {
        int n = write(fd, out + sent, size - sent);
        if (n < 0 && errno != EAGAIN) return 0;
        if (n > 0) sent += n;
    }
    return 1;
}

int main(int argc, char **argv) {
    int one = 1;
    units = atoi(argv[2]);
    dead = argc > 4 ? atoi(argv[4]) : -1;
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, units * REGISTERS * 2)) return perror(argv[1]), 1;
    held = mmap(0, units * REGISTERS * 2, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    move();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (void *)&address, length) || listen(listener, 256)) return perror("listen"), 1;
    getsockname(listener, (void *)&address, &length);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), epoll = epoll_create1(0);
    struct itimerspec second = {{1, 0}, {1, 0}};
    if (!atoi(argv[3])) timerfd_settime(timer, 0, &second, 0);
    struct epoll_event event = {.events = EPOLLIN}, ready[64];
    event.data.fd = listener, epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = timer, epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            uint64_t passed;
            if (fd == timer) {
                if (read(timer, &passed, 8) == 8) move();
            } else if (fd != listener) {
                if (!serve(fd)) close(fd);
            } else if ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
                if (fd >= CONNECTIONS) { close(fd); continue; }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                state[fd].have = 0;
                event.data.fd = fd, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
