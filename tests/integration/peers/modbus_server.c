/* A Modbus instrument built on libmodbus: the peer that shares no code with our master.
 *
 *   modbus_server tcp [DEAD_UNIT]        listens on a free port of 127.0.0.1 and prints it
 *   modbus_server rtu PORT BAUD UNIT     serves one unit on a serial port, prints "ready"
 *
 * Tables of 0..299: holding[a] = a, input[a] = 65535 - a, coil[a] = (a % 3 == 0), discrete[a] = (a % 5 == 0);
 * holding[0] = the unit that was asked; holding[200..207] = 4148 0009, 12.5000086, as a float in the orders ABCD, BADC, CDAB, DCBA.
 * Anything beyond is answered with exception 2. The dead unit is never answered.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

enum { SIZE = 300 };

static modbus_mapping_t *tables(void) {
    modbus_mapping_t *map = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
    if (!map) exit(1);
    for (int a = 0; a < SIZE; a++) {
        map->tab_registers[a] = (uint16_t)a;
        map->tab_input_registers[a] = (uint16_t)(65535 - a);
        map->tab_bits[a] = a % 3 == 0;
        map->tab_input_bits[a] = a % 5 == 0;
    }
    /* Not by modbus_set_float_abcd(): in 3.1.6 its registers come out with their bytes swapped.
       Four different bytes show every mistake. */
    const uint16_t high = 0x4148, low = 0x0009, high_swapped = 0x4841, low_swapped = 0x0900;
    const uint16_t floats[8] = {high, low, high_swapped, low_swapped, low, high, low_swapped, high_swapped};
    memcpy(map->tab_registers + 200, floats, sizeof floats);
    return map;
}

static void answer(modbus_t *bus, modbus_mapping_t *map, const uint8_t *query, int length, int dead) {
    int unit = query[modbus_get_header_length(bus) - 1];
    if (unit == dead) return;
    map->tab_registers[0] = (uint16_t)unit;
    modbus_reply(bus, query, length, map);
}

static int serve_tcp(int dead) {
    modbus_t *bus = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = tables();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), top = listener;
    fd_set all;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    FD_ZERO(&all);
    FD_SET(listener, &all);
    for (;;) {
        fd_set ready = all;
        if (select(top + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        for (int s = 0; s <= top; s++) {
            if (!FD_ISSET(s, &ready)) continue;
            if (s == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= 0 && client < FD_SETSIZE) {
                    FD_SET(client, &all);
                    if (client > top) top = client;
                }
                continue;
            }
            uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
            modbus_set_socket(bus, s);
            int length = modbus_receive(bus, query);
            if (length > 0) {
                answer(bus, map, query, length, dead);
            } else if (length < 0) {
                close(s);
                FD_CLR(s, &all);
            }
        }
    }
}

static int serve_rtu(const char *port, int baud, int unit) {
    modbus_t *bus = modbus_new_rtu(port, baud, 'N', 8, 1);
    modbus_mapping_t *map = tables();
    if (!bus || modbus_set_slave(bus, unit) || modbus_connect(bus)) {
        fprintf(stderr, "%s: %s\n", port, modbus_strerror(errno));
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(bus, query);
        if (length > 0)
            answer(bus, map, query, length, -1);
        else if (length < 0 && (errno == EIO || errno == EBADF))
            return 0;
    }
}

int main(int count, char **words) {
    if (count >= 2 && !strcmp(words[1], "tcp")) return serve_tcp(count > 2 ? atoi(words[2]) : -1);
    if (count == 5 && !strcmp(words[1], "rtu")) return serve_rtu(words[2], atoi(words[3]), atoi(words[4]));
    fprintf(stderr, "usage: modbus_server tcp [DEAD_UNIT] | rtu PORT BAUD UNIT\n");
    return 2;
}
