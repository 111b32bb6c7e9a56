/* The reference that Modbus TCP clients are compared with: one read of 125 registers on the way per connection.
 *
 * modbus_client PORT CONNECTIONS SECONDS [REGISTERS] prints {"reads": n, "cpu_s": c, "wall_s": w}
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 256 };

static int have[CONNECTIONS * 4];
static uint16_t transaction;
static int registers = 125;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void ask(int fd, int unit) {
    transaction++;
    uint8_t frame[12] = {transaction >> 8, transaction & 255, 0, 0, 0, 6, unit, 3, 0, 0, 0, registers};
    if (write(fd, frame, 12) != 12) exit(1);
}

int main(int argc, char **argv) {
    int count = atoi(argv[2]), one = 1, epoll = epoll_create1(0);
    double seconds = atof(argv[3]), began, end;
    uint16_t seen[125];
    uint8_t in[4096];
    unsigned long reads = 0, sum = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN}, ready[64];
    struct rusage use;
    if (argc < 4 || count > CONNECTIONS) return 2;
    if (argc > 4) registers = atoi(argv[4]);
    address.sin_port = htons(atoi(argv[1]));
    began = now(), end = began + seconds;
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (void *)&address, sizeof address)) return perror("connect"), 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event.data.u64 = (uint64_t)(i + 1) << 32 | fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        ask(fd, i + 1);
    }
    while (now() < end) {
        int n = epoll_wait(epoll, ready, 64, 100);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.u64 & 0xffffffff, unit = ready[i].data.u64 >> 32;
            int got = read(fd, in, sizeof in);
            if (got <= 0) return perror("read"), 1;
            have[fd] += got;
            if (have[fd] < 9 + 2 * registers) continue;
            have[fd] -= 9 + 2 * registers;
            for (int r = 0; r < registers; r++) seen[r] = in[9 + 2 * r] << 8 | in[10 + 2 * r];
            sum += seen[reads % registers];
            reads++;
            ask(fd, unit);
        }
    }
    getrusage(RUSAGE_SELF, &use);
    printf("{\"reads\": %lu, \"cpu_s\": %.6f, \"wall_s\": %.6f, \"sum\": %lu}\n", reads,
           use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
           now() - began, sum);
    return 0;
}
