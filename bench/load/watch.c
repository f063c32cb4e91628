/* Watchers: opens connections, says hello on each, then obeys lines on stdin and answers each with one line of JSON.
 *
 *   publish WINDOW SECONDS   closed loop: at most WINDOW messages are on their way to the watchers at any time
 *   pace RATE SECONDS        open loop: RATE messages a second, with latencies from when each was due
 *   count SECONDS            publishes nothing, counts what comes
 *   quit
 *
 * The publisher is one more connection of this process: TCP lines, NATS, HTTP (pipelined) or a WebSocket.
 * Messages are text with the instant of sending: "~T<19 digits> xxx…".
 */
#include "ws.h"

enum publisher_kind { PUBLISH_NONE, PUBLISH_LINE, PUBLISH_NATS, PUBLISH_HTTP, PUBLISH_WS };

static struct conn *conns;
static uint32_t wanted, ready, wave = 200;
static char *hello, *ready_text, *prefix;
static size_t prefix_len, message_bytes = 300;
static int hello_opcode = 1, nats, stamped, noread, nap_us = 500;
static uint64_t counted;

static enum publisher_kind publisher_kind;
static int publisher_fd = -1, publisher_port;
static const char *publisher_path = "/pub";
static char outgoing[1 << 17];
static size_t outgoing_len;
static uint64_t published;

static void became_ready(struct conn *c) {
    c->is_ready = 1;
    ready++;
    if (noread) epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
}

static void on_open(struct conn *c) {
    if (hello) {
        const char *text = filled_in(hello, c->index);
        conn_say(c, hello_opcode, text, strlen(text));
    }
    if (!ready_text) became_ready(c);
}

static void look_for_stamp(const char *data, size_t n) {
    const char *end = data + n;
    while ((data = memmem(data, (size_t)(end - data), "~T", 2)) && end - data >= 21) {
        uint64_t sent = 0;
        for (int i = 2; i < 21; i++) sent = sent * 10 + (uint64_t)(data[i] - '0');
        uint64_t now = now_ns();
        if (now > sent) sample_add(now - sent);
        data += 21;
    }
}

/* NATS inside WebSocket: lines, and after a MSG line so many bytes; frames end anywhere. */
static void nats_bytes(struct conn *c, const char *data, size_t n) {
    const char *end = data + n;
    while (data < end) {
        if (c->skip) {
            size_t take = (size_t)(end - data) < c->skip ? (size_t)(end - data) : (size_t)c->skip;
            data += take;
            if (!(c->skip -= take)) c->counted++, counted++;
            continue;
        }
        if (!c->scratch) c->scratch = malloc(128);
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t line = (size_t)((newline ? newline : end) - data), room = 127 - (size_t)c->line_have;
        memcpy(c->scratch + c->line_have, data, line < room ? line : room);
        c->line_have = (uint8_t)(c->line_have + (line < room ? line : room));
        data += line;
        if (!newline) return;
        data++;
        c->scratch[c->line_have] = 0;
        c->line_have = 0;
        if (!strncmp(c->scratch, "MSG ", 4)) {
            char *size = strrchr(c->scratch, ' ');
            c->skip = strtoull(size + 1, NULL, 10) + 2;
        } else if (!strncmp(c->scratch, "PING", 4)) conn_say(c, 2, "PONG\r\n", 6);
        else if (!strncmp(c->scratch, "-ERR", 4)) die("NATS: %s", c->scratch);
    }
}

static void on_payload(struct conn *c, const char *data, size_t n, int first) {
    if (first) return;
    if (ready_text && !c->is_ready && memmem(data, n, ready_text, strlen(ready_text))) became_ready(c);
    if (stamped && c->is_ready) look_for_stamp(data, n);
    if (nats) return nats_bytes(c, data, n);
    while (c->matched < prefix_len && n) {
        c->matched = *data == prefix[c->matched] ? c->matched + 1 : 255;
        data++, n--;
    }
}

static void on_message(struct conn *c) {
    if (nats || (prefix_len && c->matched != prefix_len)) return;
    c->counted++, counted++;
}

/* The publisher */

static void publisher_flush(void) {
    while (outgoing_len) {
        ssize_t sent = send(publisher_fd, outgoing, outgoing_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) die("publisher: %s", strerror(errno));
        outgoing_len -= (size_t)sent;
        memmove(outgoing, outgoing + sent, outgoing_len);
    }
}

/* One connection for each run: a server's keep-alive does not end it between runs. */
static void publisher_open(void) {
    outgoing_len = 0;
    publisher_fd = tcp_connect(publisher_port, 0, 1);
    if (publisher_kind == PUBLISH_NATS)
        outgoing_len = (size_t)sprintf(outgoing, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    if (publisher_kind == PUBLISH_WS) {
        int kept = port;
        port = publisher_port;
        outgoing_len = upgrade_request(outgoing, sizeof outgoing, publisher_path, 0);
        port = kept;
        publisher_flush();
        char answer[4096];
        ssize_t n = recv(publisher_fd, answer, sizeof answer - 1, 0);
        if (n < 12 || strncmp(answer, "HTTP/1.1 101", 12)) die("the publisher's upgrade was refused: %.*s", (int)n, answer);
    }
    publisher_flush();
}

/* Answers are read and thrown away; NATS wants its pings answered. */
static void publisher_drain(void) {
    static char answers[1 << 16];
    ssize_t n;
    while ((n = recv(publisher_fd, answers, sizeof answers, MSG_DONTWAIT)) > 0) {
        if (publisher_kind == PUBLISH_NATS && memmem(answers, (size_t)n, "PING\r\n", 6))
            outgoing_len += (size_t)sprintf(outgoing + outgoing_len, "PONG\r\n");
        if (publisher_kind == PUBLISH_HTTP && (memmem(answers, (size_t)n, "HTTP/1.1 4", 10) || memmem(answers, (size_t)n, "HTTP/1.1 5", 10)))
            die("publisher: %.*s", (int)(n < 500 ? n : 500), answers);
    }
    if (n == 0) die("the server closed the publisher's connection");
}

static int publisher_has_room(void) { return outgoing_len + message_bytes + 256 < sizeof outgoing; }

static void publish_one(uint64_t due) {
    static char text[8192];
    if (!text[0]) memset(text, 'x', sizeof text - 1);
    char stamp[32];
    snprintf(stamp, sizeof stamp, "~T%019llu ", (unsigned long long)due);
    memcpy(text, stamp, 22);
    char *out = outgoing + outgoing_len;
    int n = 0;
    if (publisher_kind == PUBLISH_NATS) n = sprintf(out, "PUB %s %zu\r\n", filled_in("%r", 0), message_bytes);
    if (publisher_kind == PUBLISH_HTTP)
        n = sprintf(out, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", publisher_path, message_bytes);
    if (publisher_kind == PUBLISH_WS) n = (int)masked_frame(out, 1, text, message_bytes);
    else memcpy(out + n, text, message_bytes), n += (int)message_bytes;
    if (publisher_kind == PUBLISH_NATS) out[n++] = '\r', out[n++] = '\n';
    if (publisher_kind == PUBLISH_LINE) out[n++] = '\n';
    outgoing_len += (size_t)n;
    published++;
}

/* Commands */

static void turn(int timeout_ms) {
    struct epoll_event events[1024];
    int n = epoll_wait(poller, events, 1024, timeout_ms);
    for (int i = 0; i < n; i++) conn_event(events[i].data.ptr, events[i].events);
}

static void reset(void) {
    for (uint32_t i = 0; i < wanted; i++) conns[i].counted = 0;
    counted = published = bytes_read = reads = sample_count = 0;
}

static void report(const char *event, double seconds, double cpu_seconds, double drain_seconds) {
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        if (conns[i].counted < least) least = conns[i].counted;
        if (conns[i].counted > most) most = conns[i].counted;
    }
    printf("{\"event\":\"%s\",\"connections\":%u,\"gone\":%u,\"published\":%llu,\"deliveries\":%llu,\"least\":%llu,\"most\":%llu,"
           "\"bytes\":%llu,\"reads\":%llu,\"seconds\":%.3f,\"drain_seconds\":%.3f,\"load_cpu_seconds\":%.3f",
           event, opened, gone, (unsigned long long)published, (unsigned long long)counted, (unsigned long long)least,
           (unsigned long long)most, (unsigned long long)bytes_read, (unsigned long long)reads, seconds, drain_seconds, cpu_seconds);
    if (sample_count) samples_print();
    printf("}\n");
    fflush(stdout);
}

/* Publishes for `seconds`, then waits until every watcher has everything, at most 60 s. Window 0: by `rate`; both 0: only counts. */
static void run(uint64_t window, double rate, double seconds) {
    reset();
    if (publisher_kind) publisher_open();
    uint64_t start = now_ns(), stop = start + (uint64_t)(seconds * 1e9), now = start;
    double cpu = own_cpu_seconds();
    while ((now = now_ns()) < stop) {
        if (window) while (publisher_has_room() && published < counted / wanted + window) publish_one(now);
        if (rate > 0) {
            uint64_t due;
            while (publisher_has_room() && (due = start + (uint64_t)((double)published * 1e9 / rate)) <= now) publish_one(due);
        }
        if (publisher_fd >= 0) publisher_flush(), publisher_drain();
        turn(1);
        if (nap_us && !stamped) usleep((useconds_t)nap_us); /* lets data gather, so that counting stays cheap */
    }
    uint64_t ended = now, patience = now + 60000000000u, expected = published * wanted;
    while (publisher_kind && counted < expected && (now = now_ns()) < patience) {
        publisher_flush(), publisher_drain();
        turn(5);
    }
    if (publisher_kind) close(publisher_fd), publisher_fd = -1;
    report("done", (double)(ended - start) / 1e9, own_cpu_seconds() - cpu, (double)(now - ended) / 1e9);
}

static void open_all(void) {
    uint32_t started = 0;
    uint64_t patience = now_ns() + 120000000000u;
    while (ready < wanted) {
        while (started < wanted && started - ready - gone < wave) conn_start(&conns[started], started), started++;
        turn(20);
        if (gone > wanted / 2) die("%u of %u connections ended", gone, wanted);
        if (ready + gone >= wanted && gone) die("%u connections did not open", gone);
        if (now_ns() > patience) die("only %u of %u connections were ready after 120 s (%u open)", ready, wanted, opened);
    }
}

static enum publisher_kind kind_of(const char *name) {
    static const char *names[] = {"none", "line", "nats", "http", "ws"};
    for (int i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) return (enum publisher_kind)i;
    die("no such publisher: %s", name);
    return PUBLISH_NONE;
}

static void options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--nats")) { nats = 1, hello_opcode = 2; continue; }
        if (!strcmp(name, "--stamped")) { stamped = 1; continue; }
        if (!strcmp(name, "--noread")) { noread = 1; continue; }
        if (++i >= argc) die("%s needs a value", name);
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--count")) wanted = (uint32_t)atoi(value);
        else if (!strcmp(name, "--wave")) wave = (uint32_t)atoi(value);
        else if (!strcmp(name, "--sources")) sources = atoi(value);
        else if (!strcmp(name, "--hello")) hello = argv[i];
        else if (!strcmp(name, "--ready")) ready_text = argv[i];
        else if (!strcmp(name, "--prefix")) prefix = argv[i], prefix_len = strlen(value);
        else if (!strcmp(name, "--places")) read_places(value);
        else if (!strcmp(name, "--message-bytes")) message_bytes = (size_t)atoi(value);
        else if (!strcmp(name, "--nap-us")) nap_us = atoi(value);
        else if (!strcmp(name, "--publish")) publisher_kind = kind_of(value);
        else if (!strcmp(name, "--publish-port")) publisher_port = atoi(value);
        else if (!strcmp(name, "--publish-path")) publisher_path = argv[i];
        else if (!strcmp(name, "--header")) {
            size_t have = strlen(extra_headers);
            snprintf(extra_headers + have, sizeof extra_headers - have, "%s\r\n", value);
        } else die("no such option: %s", name);
    }
    if (!port || !wanted || message_bytes < 32 || message_bytes > 8000) die("--port and --count are needed");
    if (!publisher_port) publisher_port = port;
}

int main(int argc, char **argv) {
    options(argc, argv);
    raise_descriptor_limit(wanted);
    poller = epoll_create1(0);
    conns = calloc(wanted, sizeof *conns);
    uint64_t start = now_ns();
    double cpu = own_cpu_seconds();
    open_all();
    publisher_path = strdup(filled_in(publisher_path, 0));
    report("ready", (double)(now_ns() - start) / 1e9, own_cpu_seconds() - cpu, 0);
    fcntl(0, F_SETFL, O_NONBLOCK);
    char line[256];
    size_t have = 0;
    for (;;) {
        ssize_t n = read(0, line + have, sizeof line - 1 - have);
        if (n == 0) return 0;
        if (n > 0) have += (size_t)n;
        line[have] = 0;
        if (!strchr(line, '\n')) {
            turn(10); /* pings are answered while idle */
            continue;
        }
        have = 0;
        double value = 0, seconds = 0;
        if (sscanf(line, "publish %lf %lf", &value, &seconds) == 2) run((uint64_t)value, 0, seconds);
        else if (sscanf(line, "pace %lf %lf", &value, &seconds) == 2) run(0, value, seconds);
        else if (sscanf(line, "count %lf", &seconds) == 1) run(0, 0, seconds);
        else return 0;
    }
}
