/* WebSocket client core of the load programs: many connections, one epoll, no copy of payloads.
 *
 * Rule 1: it must cost far less than what it measures: payload bytes are skipped, not copied, unless a program looks at them.
 * Rule 2: frames are counted by parsing their headers (RFC 6455 section 5.2), however they are cut by reads.
 * Rule 3: a program defines `on_open`, `on_payload` and `on_message`; whatever goes wrong ends it with a sentence.
 */
#ifndef WS_H
#define WS_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum phase { CONNECTING, SHAKING, OPEN, GONE };

struct conn {
    int fd;
    uint32_t index;
    uint8_t phase, opcode, header_have, is_ready, matched, line_have;
    uint8_t header[14];
    uint64_t left;    /* payload bytes of the present frame still to come */
    uint64_t skip;    /* NATS: bytes of the present message still to come */
    uint64_t counted; /* messages since the last reset */
    char *pending;    /* bytes that the kernel did not take yet */
    size_t pending_len;
    char *scratch; /* the handshake's answer, then a NATS line or a whole text message */
    uint32_t scratch_len;
};

static int poller;
static const char *host = "127.0.0.1", *path = "/ws";
static int port, sources = 1;
static char extra_headers[4096];
static struct { char *room, *token; } *places; /* connection i takes place i % place_count */
static size_t place_count;
static uint32_t opening, opened, gone;
static uint64_t bytes_read, reads;
static char read_buffer[1 << 19];

static void on_open(struct conn *c);
static void on_payload(struct conn *c, const char *data, size_t n, int first);
static void on_message(struct conn *c);

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double own_cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void raise_descriptor_limit(uint32_t wanted) {
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < wanted + 64) die("only %lu file descriptors for %u connections", (unsigned long)r.rlim_cur, wanted);
}

static int tcp_connect(int to_port, int from, int blocking) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to_port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | (blocking ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0) die("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (from > 0) { /* one address has 28,000 ports */
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)from)};
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) die("bind: %s", strerror(errno));
    }
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    return fd;
}

static void watch_fd(struct conn *c, int op, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, op, c->fd, &e) < 0) die("epoll_ctl: %s", strerror(errno));
}

static void conn_start(struct conn *c, uint32_t index) {
    memset(c, 0, sizeof *c);
    c->index = index;
    c->fd = tcp_connect(port, sources > 1 ? (int)(index % (uint32_t)sources) : 0, 0);
    opening++;
    watch_fd(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void conn_gone(struct conn *c, const char *why) {
    if (c->phase == OPEN && opened) opened--;
    else if (opening) opening--;
    if (gone++ < 3) fprintf(stderr, "connection %u ended: %s\n", c->index, why);
    c->phase = GONE;
    close(c->fd);
}

/* Send all of it, keeping what the kernel does not take. */
static void conn_send(struct conn *c, const char *data, size_t n) {
    if (c->phase == GONE) return;
    if (!c->pending_len) {
        ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return conn_gone(c, strerror(errno));
        if (sent > 0) data += sent, n -= (size_t)sent;
        if (!n) return;
        watch_fd(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    c->pending = realloc(c->pending, c->pending_len + n);
    memcpy(c->pending + c->pending_len, data, n);
    c->pending_len += n;
}

static void conn_flush(struct conn *c) {
    ssize_t sent = send(c->fd, c->pending, c->pending_len, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) conn_gone(c, strerror(errno));
        return;
    }
    c->pending_len -= (size_t)sent;
    memmove(c->pending, c->pending + sent, c->pending_len);
    if (!c->pending_len) watch_fd(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* Write one masked frame into `out` (which must have n + 14 bytes); returns its length. The key is fixed. */
static size_t masked_frame(char *out, int opcode, const char *data, size_t n) {
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t at = 2;
    out[0] = (char)(0x80 | opcode);
    if (n < 126) out[1] = (char)(0x80 | n);
    else if (n < 65536) out[1] = (char)(0x80 | 126), out[2] = (char)(n >> 8), out[3] = (char)n, at = 4;
    else die("a frame of %zu bytes is not for this client", n);
    memcpy(out + at, key, 4);
    at += 4;
    for (size_t i = 0; i < n; i++) out[at + i] = (char)((uint8_t)data[i] ^ key[i & 3]);
    return at + n;
}

static void conn_say(struct conn *c, int opcode, const char *data, size_t n) {
    char stack[4096 + 14], *out = n > 4096 ? malloc(n + 14) : stack;
    conn_send(c, out, masked_frame(out, opcode, data, n));
    if (out != stack) free(out);
}

/* Return `text` with the first %r replaced by the room of connection `index`, or %k by its token; good until the next call. */
static const char *filled_in(const char *text, uint32_t index) {
    static char filled[8192];
    const char *mark = strstr(text, "%r"), *value = "room";
    if (mark && place_count) value = places[index % place_count].room;
    if (!mark && (mark = strstr(text, "%k"))) value = place_count ? places[index % place_count].token : "";
    if (!mark) return text;
    snprintf(filled, sizeof filled, "%.*s%s%s", (int)(mark - text), text, value, mark + 2);
    return filled;
}

/* Lines of "<room> [<token>]". */
static void read_places(const char *file) {
    FILE *f = fopen(file, "r");
    char room[128], token[256], line[512];
    if (!f) die("%s: %s", file, strerror(errno));
    while (fgets(line, sizeof line, f)) {
        token[0] = 0;
        if (sscanf(line, "%127s %255s", room, token) < 1) continue;
        places = realloc(places, (place_count + 1) * sizeof *places);
        places[place_count].room = strdup(room);
        places[place_count++].token = strdup(token);
    }
    fclose(f);
    if (!place_count) die("%s names no room", file);
}

static size_t upgrade_request(char *out, size_t size, const char *to_path, uint32_t index) {
    size_t n = (size_t)snprintf(out, size,
                                "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                                filled_in(to_path, index), host, port);
    return n + (size_t)snprintf(out + n, size - n, "%s\r\n", filled_in(extra_headers, index));
}

/* Take frames from `data`; payloads go to on_payload in the pieces in which they came. */
static void conn_frames(struct conn *c, const char *data, size_t n) {
    const char *end = data + n;
    while (data < end && c->phase == OPEN) {
        if (c->left == 0 || c->header_have < 255) {
            uint8_t need = 2;
            while (c->header_have < need && data < end) {
                c->header[c->header_have++] = (uint8_t)*data++;
                uint8_t size = c->header[1] & 127;
                if (c->header_have >= 2) need = size == 126 ? 4 : size == 127 ? 10 : 2;
            }
            if (c->header_have < need) return;
            uint8_t size = c->header[1] & 127;
            c->left = size;
            if (size == 126) c->left = (uint64_t)c->header[2] << 8 | c->header[3];
            if (size == 127) {
                c->left = 0;
                for (int i = 2; i < 10; i++) c->left = c->left << 8 | c->header[i];
            }
            if (c->header[0] & 15) c->opcode = c->header[0] & 15;
            c->header_have = 255; /* in the payload */
            c->matched = 0;
            if (c->opcode == 8) return conn_gone(c, "closed by the server");
            if (c->opcode < 8 && c->left) on_payload(c, data, 0, 1);
        }
        size_t take = (size_t)(end - data) < c->left ? (size_t)(end - data) : (size_t)c->left;
        if (c->opcode < 8 && take) on_payload(c, data, take, 0);
        if (c->opcode == 9) conn_say(c, 10, data, take); /* a ping that is cut in two is answered in two: pongs are free */
        data += take;
        c->left -= take;
        if (!c->left) {
            c->header_have = 0;
            if (c->opcode < 8 && (c->header[0] & 0x80)) on_message(c);
        }
    }
}

static void conn_handshake(struct conn *c, const char *data, size_t n) {
    c->scratch = realloc(c->scratch, c->scratch_len + n + 1);
    memcpy(c->scratch + c->scratch_len, data, n);
    c->scratch_len += (uint32_t)n;
    c->scratch[c->scratch_len] = 0;
    char *end = strstr(c->scratch, "\r\n\r\n");
    if (!end) return;
    if (strncmp(c->scratch, "HTTP/1.1 101", 12)) die("the upgrade was refused: %.300s", c->scratch);
    char *rest = end + 4, *kept = c->scratch;
    size_t rest_len = c->scratch_len - (size_t)(rest - kept);
    c->scratch = NULL, c->scratch_len = 0;
    c->phase = OPEN;
    opening--, opened++;
    on_open(c);
    if (rest_len) conn_frames(c, rest, rest_len);
    free(kept);
}

static void conn_event(struct conn *c, uint32_t events) {
    if (c->phase == GONE) return;
    if (c->phase == CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return conn_gone(c, strerror(error));
        char request[8192];
        c->phase = SHAKING;
        watch_fd(c, EPOLL_CTL_MOD, EPOLLIN);
        conn_send(c, request, upgrade_request(request, sizeof request, path, c->index));
        return;
    }
    if ((events & EPOLLOUT) && c->pending_len) conn_flush(c);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || c->phase == GONE) return;
    ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return conn_gone(c, n ? strerror(errno) : "end of stream");
    reads++, bytes_read += (uint64_t)n;
    if (c->phase == SHAKING) conn_handshake(c, read_buffer, (size_t)n);
    else conn_frames(c, read_buffer, (size_t)n);
}

/* Latencies: every sample is kept, in microseconds, up to a bound. */

#define SAMPLES_MAX (1u << 22)
static uint32_t *samples, sample_count;

static void sample_add(uint64_t ns) {
    if (!samples) samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (sample_count < SAMPLES_MAX) samples[sample_count++] = (uint32_t)(ns / 1000 > UINT32_MAX ? UINT32_MAX : ns / 1000);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Print `"p50_ms":…` and so on; sorts the samples. */
static void samples_print(void) {
    qsort(samples, sample_count, sizeof *samples, by_size);
    static const struct { const char *name; double share; } marks[] = {{"p50_ms", .5}, {"p90_ms", .9}, {"p99_ms", .99}, {"max_ms", 1}};
    for (int i = 0; i < 4; i++) {
        uint32_t at = sample_count ? (uint32_t)((double)(sample_count - 1) * marks[i].share) : 0;
        printf(",\"%s\":%.3f", marks[i].name, sample_count ? samples[at] / 1000.0 : -1.0);
    }
    printf(",\"samples\":%u", sample_count);
}
#endif
