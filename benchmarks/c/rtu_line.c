/* Instruments on a serial line that exists only as a pseudo-terminal, as slow as the real one.
 *
 * rtu_line BAUD BITS REQUESTS [DEAD]
 *   BITS      of a character: 10 without parity, 11 with
 *   REQUESTS  so many are measured, after ten to warm up; then it prints its findings and waits to be ended
 *   DEAD      a unit that never answers
 * Prints the port's path, and at the end one line of JSON: seconds between the first and the last request, how many,
 * how many of them came within the silence after a reply, and for each healthy unit the seconds between its requests.
 *
 * A byte of a pseudo-terminal takes no time. So the request is held for its time on the line, then for the silence by
 * which instruments know its end; then the reply for its own time, and it is handed over whole.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { WARM = 10, REQUEST = 8, UNITS = 256 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void until(double end) { /* the last stretch awake: a sleeper is woken late, and the line would be slower */
    double left = end - now() - 150e-6;
    if (left > 0) {
        struct timespec t = {(time_t)left, (long)((left - (time_t)left) * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0);
    }
    while (now() < end) {}
}

static uint16_t crc16(const uint8_t *data, int size) {
    uint16_t crc = 0xFFFF;
    for (int i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int baud = atoi(argv[1]), bits = atoi(argv[2]), wanted = atoi(argv[3]) + WARM, dead = argc > 4 ? atoi(argv[4]) : -1;
    double character = (double)bits / baud, silence = baud <= 19200 ? 3.5 * character : 0.00175;
    int line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) || unlockpt(line)) return perror("pty"), 1;
    int held = open(ptsname(line), O_RDWR | O_NOCTTY); /* so that the line outlives its master's closing it */
    struct termios raw;
    tcgetattr(held, &raw), cfmakeraw(&raw), tcsetattr(held, TCSANOW, &raw);
    prctl(PR_SET_TIMERSLACK, 1);
    struct sched_param first = {10};
    sched_setscheduler(0, SCHED_FIFO, &first); /* where it is allowed */
    printf("%s\n", ptsname(line));
    fflush(stdout);
    uint8_t in[512], out[300];
    double said = 0, began = 0, ended = 0, late = 0, last_asked[UNITS] = {0}, spent[UNITS] = {0};
    int have = 0, asked = 0, early = 0, turns[UNITS] = {0};
    while (asked < wanted) {
        int got = read(line, in + have, sizeof in - have);
        if (got <= 0) return 1;
        double came = now();
        have += got;
        if (have < REQUEST) continue;
        have = 0; /* one request at a time is all that a line carries */
        if (crc16(in, REQUEST)) return fprintf(stderr, "a broken request\n"), 1;
        int unit = in[0], count = in[5];
        if (++asked > WARM) {
            if (asked == WARM + 1) began = came;
            else early += said && came - said < silence;
            ended = came;
            if (last_asked[unit]) spent[unit] += came - last_asked[unit], turns[unit]++;
            last_asked[unit] = came;
        }
        said = 0;
        if (unit == dead) continue;
        out[0] = unit, out[1] = in[1], out[2] = 2 * count;
        for (int i = 0; i < count; i++) out[3 + 2 * i] = 0, out[4 + 2 * i] = unit;
        uint16_t crc = crc16(out, 3 + 2 * count);
        out[3 + 2 * count] = crc & 255, out[4 + 2 * count] = crc >> 8;
        double end = came + (REQUEST + 5 + 2 * count) * character + silence;
        until(end);
        if (write(line, out, 5 + 2 * count) < 0) return 1;
        said = end;
        late += now() - end;
    }
    printf("{\"seconds\": %.6f, \"requests\": %d, \"early\": %d, \"late_us\": %.1f, \"cycles\": [", ended - began,
           asked - WARM, early, late / asked * 1e6);
    const char *comma = "";
    for (int unit = 0; unit < UNITS; unit++)
        if (turns[unit] && unit != dead) printf("%s%.6f", comma, spent[unit] / turns[unit]), comma = ", ";
    printf("]}\n");
    fflush(stdout);
    pause();
}
