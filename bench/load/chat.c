/* Two people in each of many rooms: says over one member's socket, and waits for `ok` there and the entry at the other's.
 *
 *   max OUTSTANDING SECONDS   closed loop: at most so many says unanswered in all, one for each connection
 *   pace RATE SECONDS         open loop: RATE says a second; latencies count from when each was due
 *   quit
 *
 * A say counts once it was answered with `ok` and the other member has its entry; at the end every one must have both, once.
 */
#include "ws.h"

#define SAYS_MAX (1u << 22)
enum { OK = 1, SHOWN = 2, REFUSED = 4 };

struct say {
    uint64_t due;
    uint32_t conn;
    uint8_t state;
};

static struct conn *conns;
static struct say *says;
static uint8_t *is_busy;
static uint32_t wanted, ready, wave = 200, said, first_of_run, unfinished, errors, doubled, turn_of;
static size_t text_bytes = 100;
static char cid_prefix[32];

static void on_open(struct conn *c) {
    char text[512];
    int n = snprintf(text, sizeof text, "{\"t\":\"hello\",\"v\":1,\"view\":\"json\",\"rooms\":{\"%s\":-1}}", filled_in("%r", c->index));
    conn_say(c, 1, text, (size_t)n);
}

static void finish(struct say *s, uint8_t with) {
    if (s->state & with) doubled++;
    if ((s->state & REFUSED) || s->state == (OK | SHOWN)) return;
    s->state |= with;
    if (s->state != (OK | SHOWN) && with != REFUSED) return;
    unfinished--;
    is_busy[s->conn] = 0;
}

static void on_text(struct conn *c, const char *data, size_t n) {
    if (!c->is_ready) {
        if (memmem(data, n, "\"t\":\"joined\"", 12)) c->is_ready = 1, ready++;
        return;
    }
    int entry = n > 11 && !memcmp(data, "{\"t\":\"entry\"", 12), ok = n > 11 && !memcmp(data, "{\"t\":\"ok\"", 9);
    int error = n > 11 && !memcmp(data, "{\"t\":\"error\"", 12);
    if (error && errors++ < 3) fprintf(stderr, "refused: %.*s\n", (int)(n < 300 ? n : 300), data);
    if (!entry && !ok && !error) return;
    char mark[48];
    int mark_len = snprintf(mark, sizeof mark, "\"cid\":\"%s", cid_prefix);
    const char *cid = memmem(data, n, mark, (size_t)mark_len);
    if (!cid) return;
    uint32_t number = (uint32_t)strtoul(cid + mark_len, NULL, 10);
    if (number < first_of_run || number >= said) return;
    struct say *s = &says[number];
    if (ok && s->conn == c->index) finish(s, OK);
    if (error && s->conn == c->index) finish(s, REFUSED);
    if (entry && (s->conn ^ 1) == c->index) {
        if (!(s->state & SHOWN)) sample_add(now_ns() - s->due);
        finish(s, SHOWN);
    }
}

static void on_payload(struct conn *c, const char *data, size_t n, int first) {
    if (first) {
        c->scratch_len = 0;
    } else if (!c->scratch_len && n == c->left) {
        on_text(c, data, n);
    } else {
        c->scratch = realloc(c->scratch, c->scratch_len + n);
        memcpy(c->scratch + c->scratch_len, data, n);
        c->scratch_len += (uint32_t)n;
    }
}

static void on_message(struct conn *c) {
    if (c->scratch_len) on_text(c, c->scratch, c->scratch_len);
    c->scratch_len = 0;
}

/* Say something on the next connection that waits for nothing; 0 if all do. */
static int say_next(uint64_t due, int even_if_busy) {
    static char words[4096];
    if (!words[0]) memset(words, 'w', sizeof words - 1);
    if (said == SAYS_MAX) die("too many says for one run");
    uint32_t i = turn_of;
    for (uint32_t tried = 0; is_busy[i] && !even_if_busy; i = (i + 1) % wanted)
        if (++tried > wanted) return 0;
    turn_of = (i + 1) % wanted;
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "{\"t\":\"say\",\"room\":\"%s\",\"cid\":\"%s%010u\",\"kind\":\"message\",\"body\":{\"text\":\"%.*s\"}}",
                     filled_in("%r", i), cid_prefix, said, (int)text_bytes, words);
    says[said++] = (struct say){.due = due, .conn = i};
    is_busy[i] = 1;
    unfinished++;
    conn_say(&conns[i], 1, text, (size_t)n);
    return 1;
}

static void turn(int timeout_ms) {
    struct epoll_event events[1024];
    int n = epoll_wait(poller, events, 1024, timeout_ms);
    for (int i = 0; i < n; i++) conn_event(events[i].data.ptr, events[i].events);
}

static void run(uint32_t outstanding, double rate, double seconds) {
    first_of_run = said;
    unfinished = errors = doubled = sample_count = 0;
    memset(is_busy, 0, wanted);
    uint64_t start = now_ns(), stop = start + (uint64_t)(seconds * 1e9), now = start;
    double cpu = own_cpu_seconds();
    while ((now = now_ns()) < stop) {
        if (outstanding) while (unfinished < outstanding && say_next(now, 0)) {}
        uint64_t due;
        if (rate > 0)
            while ((due = start + (uint64_t)((double)(said - first_of_run) * 1e9 / rate)) <= now) say_next(due, 1);
        turn(1);
    }
    uint32_t finished_in_time = said - first_of_run - unfinished;
    uint64_t ended = now, patience = now + 30000000000u;
    while (unfinished && (now = now_ns()) < patience) turn(5);
    printf("{\"event\":\"done\",\"said\":%u,\"finished_in_time\":%u,\"lost\":%u,\"doubled\":%u,\"errors\":%u,\"gone\":%u,"
           "\"seconds\":%.3f,\"load_cpu_seconds\":%.3f",
           said - first_of_run, finished_in_time, unfinished, doubled, errors, gone, (double)(ended - start) / 1e9, own_cpu_seconds() - cpu);
    samples_print();
    printf("}\n");
    fflush(stdout);
}

static void options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--pairs")) wanted = 2 * (uint32_t)atoi(value);
        else if (!strcmp(name, "--places")) read_places(value);
        else if (!strcmp(name, "--text-bytes")) text_bytes = (size_t)atoi(value);
        else if (!strcmp(name, "--header")) snprintf(extra_headers, sizeof extra_headers, "%s\r\n", value);
        else die("no such option: %s", name);
    }
    if (!port || !wanted || text_bytes > 3000) die("--port and --pairs are needed");
}

int main(int argc, char **argv) {
    options(argc, argv);
    raise_descriptor_limit(wanted);
    poller = epoll_create1(0);
    conns = calloc(wanted, sizeof *conns);
    is_busy = calloc(wanted, 1);
    says = calloc(SAYS_MAX, sizeof *says);
    snprintf(cid_prefix, sizeof cid_prefix, "b%llx-", (unsigned long long)time(NULL));
    uint64_t start = now_ns(), patience = start + 120000000000u;
    for (uint32_t started = 0; ready < wanted;) {
        while (started < wanted && started - ready < wave) conn_start(&conns[started], started), started++;
        turn(20);
        if (gone) die("a connection did not open");
        if (now_ns() > patience) die("only %u of %u connections were ready after 120 s", ready, wanted);
    }
    printf("{\"event\":\"ready\",\"connections\":%u,\"seconds\":%.3f}\n", ready, (double)(now_ns() - start) / 1e9);
    fflush(stdout);
    fcntl(0, F_SETFL, O_NONBLOCK);
    char line[256];
    size_t have = 0;
    for (;;) {
        ssize_t n = read(0, line + have, sizeof line - 1 - have);
        if (n == 0) return 0;
        if (n > 0) have += (size_t)n;
        line[have] = 0;
        if (!strchr(line, '\n')) {
            turn(10);
            continue;
        }
        have = 0;
        double value = 0, seconds = 0;
        if (sscanf(line, "max %lf %lf", &value, &seconds) == 2) run((uint32_t)value, 0, seconds);
        else if (sscanf(line, "pace %lf %lf", &value, &seconds) == 2) run(0, value, seconds);
        else return 0;
    }
}
