/* Closed-loop load over kept-alive loopback connections: single-threaded, epoll, every answer checked.
 *
 *   load PORT REQUEST_FILE CONNECTIONS SECONDS MAX_CALLS WAIT_MS json|sse EXPECT MIN_EVENTS
 *
 * REQUEST_FILE holds one whole HTTP request; the text ########## in it becomes the number of the call, so that
 * no two calls are alike. Each connection sends its next call when it has read the whole answer before. WAIT_MS
 * is the upstream's delay before it answers: first calls are spread over it (fixed seed), and it is taken off
 * the latencies. After SECONDS, or MAX_CALLS calls, nothing new is sent and calls on the way may end (at most
 * DRAIN_S).
 *
 * An answer counts when its status is 200, its framing is whole, and: json: the body holds EXPECT and ends in
 * '}'; sse: at least MIN_EVENTS data lines, one of which holds EXPECT, and the last one is [DONE].
 * Prints one JSON object; latencies in microseconds (buckets of 0.8 %).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_S = 20, MAX_ERRORS = 200, HEAD_ROOM = 16384, BODY_ROOM = 65536, READ_ROOM = 262144, BUCKETS = 128 * 44 };
enum framing { BY_LENGTH, CHUNKED, BY_CLOSE };
enum stage { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

typedef struct {
    int fd, waiting_out, status, closing;
    char *request;
    size_t sent;
    enum stage stage;
    enum framing framing;
    char head[HEAD_ROOM + 1], body[BODY_ROOM + 1], line[320];
    size_t head_len, body_len, body_kept, line_len, left;
    int events, expected_seen, done;
    uint64_t began_ns, first_ns, start_at_ns;
} Conn;

typedef struct {
    uint32_t counts[BUCKETS];
    uint64_t n, max;
} Histogram;

static int poller, port, is_sse, min_events, active;
static const char *expect;
static char *request;
static size_t request_len;
static ssize_t number_at;
static uint64_t wait_ns, calls, max_calls, sent_calls, events, errors, stop_ns, last_ns;
static char first_error[400];
static Histogram whole, first;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* ---- histogram: 128 linear buckets in each power of two of nanoseconds ---- */

static void note(Histogram *h, uint64_t ns) {
    int shift = ns < 256 ? 0 : 56 - __builtin_clzll(ns);
    size_t bucket = (size_t)shift * 128 + (ns >> shift);
    h->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    h->n++;
    if (ns > h->max) h->max = ns;
}

static double quantile_us(const Histogram *h, double q) {
    uint64_t rank = (uint64_t)(q * (double)h->n), seen = 0;
    for (size_t b = 0; b < BUCKETS; b++) {
        seen += h->counts[b];
        if (seen > rank) {
            size_t shift = b < 256 ? 0 : b / 128 - 1;
            return ((double)(b - shift * 128) + 0.5) * (double)(1ull << shift) / 1000.0;
        }
    }
    return 0;
}

/* ---- one call ---- */

static int may_send(void) { return sent_calls < max_calls && now_ns() < stop_ns; }

static void watch_out(Conn *c, int wanted) {
    if (c->waiting_out == wanted) return;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waiting_out = wanted;
}

static void send_rest(Conn *c) {
    while (c->sent < request_len) {
        ssize_t n = send(c->fd, c->request + c->sent, request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0) break; /* full, or broken: then reading says how */
        c->sent += (size_t)n;
    }
    watch_out(c, c->sent < request_len);
}

static void begin(Conn *c) {
    char number[16];
    c->stage = HEAD;
    c->head_len = c->body_len = c->body_kept = c->line_len = c->sent = 0;
    c->events = c->expected_seen = c->done = c->closing = c->status = 0;
    c->first_ns = 0;
    sent_calls++;
    if (number_at >= 0) {
        snprintf(number, sizeof number, "%010llu", (unsigned long long)sent_calls);
        memcpy(c->request + number_at, number, 10);
    }
    c->began_ns = now_ns();
    send_rest(c);
}

static void join(Conn *c) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof at)) die("load: cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
    c->waiting_out = 0;
}

static void leave(Conn *c) {
    close(c->fd);
    c->fd = -1;
    active--;
}

static void fail(Conn *c, const char *why) {
    if (!errors++)
        snprintf(first_error, sizeof first_error, "%s; status %d; %.*s", why, c->status, 200,
                 c->body_kept ? c->body : c->line_len ? c->line : "");
    if (errors >= MAX_ERRORS) stop_ns = 0;
    leave(c);
    if (!may_send()) return;
    active++;
    join(c);
    begin(c);
}

static void finish(Conn *c) {
    const char *why = NULL;
    c->body[c->body_kept] = 0;
    while (c->body_kept && strchr("\r\n ", c->body[c->body_kept - 1])) c->body[--c->body_kept] = 0;
    if (c->status != 200) why = "not 200";
    else if (is_sse && c->events < min_events) why = "too few events";
    else if (is_sse && !c->done) why = "no [DONE] at the end";
    else if (is_sse && !c->expected_seen) why = "expected text not in the stream";
    else if (!is_sse && !strstr(c->body, expect)) why = "expected text not in the body";
    else if (!is_sse && c->body[c->body_kept - 1] != '}') why = "body is not whole";
    if (why) {
        fail(c, why);
        return;
    }
    last_ns = now_ns();
    calls++;
    events += (uint64_t)c->events;
    note(&whole, last_ns - c->began_ns - wait_ns);
    if (is_sse) note(&first, c->first_ns - c->began_ns - wait_ns);
    if (!may_send()) {
        leave(c);
        return;
    }
    if (c->closing) {
        close(c->fd);
        join(c);
    }
    begin(c);
}

/* ---- reading answers ---- */

static void end_line(Conn *c) {
    c->line[c->line_len] = 0;
    if (!strncmp(c->line, "data:", 5)) {
        if (!c->events++) c->first_ns = now_ns();
        c->done = strstr(c->line, "[DONE]") != NULL;
        c->expected_seen |= strstr(c->line, expect) != NULL;
    }
    c->line_len = 0;
}

static void feed_body(Conn *c, const char *p, size_t n) {
    c->body_len += n;
    if (!is_sse || c->status != 200) {
        size_t keep = n < BODY_ROOM - c->body_kept ? n : BODY_ROOM - c->body_kept;
        memcpy(c->body + c->body_kept, p, keep);
        c->body_kept += keep;
        return;
    }
    while (n) {
        const char *nl = memchr(p, '\n', n);
        size_t part = nl ? (size_t)(nl - p) : n, room = sizeof c->line - 1 - c->line_len;
        memcpy(c->line + c->line_len, p, part < room ? part : room);
        c->line_len += part < room ? part : room;
        if (nl) end_line(c), part++;
        p += part;
        n -= part;
    }
}

/* Takes the head's bytes; returns how many of `n` belonged to it, or -1 when it is not HTTP. */
static ssize_t feed_head(Conn *c, const char *p, size_t n) {
    size_t had = c->head_len, take = n < HEAD_ROOM - had ? n : HEAD_ROOM - had;
    memcpy(c->head + had, p, take);
    c->head[had + take] = 0;
    char *end = memmem(c->head, had + take, "\r\n\r\n", 4);
    c->head_len += take;
    if (!end) return c->head_len == HEAD_ROOM ? -1 : (ssize_t)take;
    end[2] = 0;
    if (strncmp(c->head, "HTTP/1.1 ", 9)) return -1;
    c->status = atoi(c->head + 9);
    c->closing = strcasestr(c->head, "\r\nconnection: close") != NULL;
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) c->framing = CHUNKED, c->stage = CHUNK_SIZE;
    else c->framing = length ? BY_LENGTH : BY_CLOSE, c->stage = BODY;
    c->left = c->framing == BY_LENGTH ? strtoul(length + 17, NULL, 10) : 0;
    c->closing |= c->framing == BY_CLOSE;
    return end + 4 - c->head - (ssize_t)had;
}

/* Takes chunked framing; returns 1 at the end of the answer, 0 when more is needed, -1 on bad framing. */
static int feed_chunks(Conn *c, const char *p, size_t n) {
    while (n) {
        if (c->stage == CHUNK_DATA) {
            size_t part = n < c->left ? n : c->left;
            feed_body(c, p, part);
            p += part, n -= part, c->left -= part;
            if (!c->left) c->stage = CHUNK_END, c->head_len = 0;
            continue;
        }
        if (*p != '\n') { /* collect a size, end or trailer line in `head` */
            if (c->head_len >= 64) return -1;
            c->head[c->head_len++] = *p;
        } else {
            c->head[c->head_len] = 0;
            int blank = c->head_len <= 1;
            if (c->stage == TRAILER && blank) return n == 1 ? 1 : -1;
            if (c->stage == CHUNK_SIZE) {
                c->left = strtoul(c->head, NULL, 16);
                c->stage = c->left ? CHUNK_DATA : TRAILER;
            } else if (c->stage == CHUNK_END) {
                if (!blank) return -1;
                c->stage = CHUNK_SIZE;
            }
            c->head_len = 0;
        }
        p++, n--;
    }
    return 0;
}

static void take(Conn *c, const char *p, size_t n) {
    if (c->stage == HEAD) {
        ssize_t used = feed_head(c, p, n);
        if (used < 0) {
            fail(c, "the head is not HTTP/1.1");
            return;
        }
        p += used, n -= (size_t)used;
        if (c->stage == CHUNK_SIZE) c->head_len = 0;
        if (c->stage == HEAD) return;
    }
    if (c->framing == CHUNKED) {
        int state = feed_chunks(c, p, n);
        if (state < 0) fail(c, "bad chunked framing");
        if (state > 0) finish(c);
        return;
    }
    feed_body(c, p, n);
    if (c->framing == BY_LENGTH && c->body_len > c->left) fail(c, "more bytes than the length says");
    else if (c->framing == BY_LENGTH && c->body_len == c->left) finish(c);
}

static void readable(Conn *c) {
    static char buffer[READ_ROOM];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n > 0) take(c, buffer, (size_t)n);
    else if (n == 0 && c->stage == BODY && c->framing == BY_CLOSE) finish(c);
    else if (n == 0 || errno != EAGAIN) fail(c, "the connection broke before the answer's end");
}

/* ---- the run ---- */

static void load_request(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    fseek(f, 0, SEEK_END);
    request_len = (size_t)ftell(f);
    rewind(f);
    request = malloc(request_len);
    if (!request || fread(request, 1, request_len, f) != request_len) die(path);
    fclose(f);
    char *mark = memmem(request, request_len, "##########", 10);
    number_at = mark ? mark - request : -1;
}

static uint64_t earliest_start(Conn *all, int n) {
    uint64_t soonest = 0;
    for (int i = 0; i < n; i++)
        if (all[i].start_at_ns && (!soonest || all[i].start_at_ns < soonest)) soonest = all[i].start_at_ns;
    return soonest;
}

static void start_due(Conn *all, int n) {
    uint64_t now = now_ns();
    for (int i = 0; i < n; i++) {
        Conn *c = all + i;
        if (!c->start_at_ns || c->start_at_ns > now) continue;
        c->start_at_ns = 0;
        if (may_send()) begin(c); else leave(c);
    }
}

static void report(uint64_t began_ns) {
    double elapsed_s = last_ns > began_ns ? (double)(last_ns - began_ns) / 1e9 : 0;
    printf("{\"calls\":%llu,\"sent\":%llu,\"errors\":%llu,\"unfinished\":%d,\"events\":%llu,\"elapsed_s\":%.6f,",
           (unsigned long long)calls, (unsigned long long)sent_calls, (unsigned long long)errors, active,
           (unsigned long long)events, elapsed_s);
    for (int i = 0; i < 2; i++) {
        const Histogram *h = i ? &first : &whole;
        printf("\"%s\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f},", i ? "first_us" : "latency_us",
               quantile_us(h, 0.5), quantile_us(h, 0.9), quantile_us(h, 0.99), (double)h->max / 1e3);
    }
    printf("\"first_error\":\"");
    for (const char *p = first_error; *p; p++) {
        if (*p == '"' || *p == '\\') putchar('\\');
        putchar(*p < ' ' ? ' ' : *p);
    }
    printf("\"}\n");
}

int main(int argc, char **argv) {
    if (argc != 10) {
        fprintf(stderr, "usage: load PORT REQUEST_FILE CONNECTIONS SECONDS MAX_CALLS WAIT_MS json|sse EXPECT "
                        "MIN_EVENTS\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int n = atoi(argv[3]);
    double seconds = atof(argv[4]), wait_ms = atof(argv[6]);
    port = atoi(argv[1]);
    wait_ns = (uint64_t)(wait_ms * 1e6);
    load_request(argv[2]);
    max_calls = strtoull(argv[5], NULL, 10);
    is_sse = !strcmp(argv[7], "sse");
    expect = argv[8];
    min_events = atoi(argv[9]);
    poller = epoll_create1(0);
    alarm((unsigned)seconds + DRAIN_S + 10);
    Conn *all = calloc((size_t)n, sizeof *all);
    srand48(8400);
    for (int i = 0; i < n; i++) {
        all[i].request = malloc(request_len);
        memcpy(all[i].request, request, request_len);
        join(all + i);
    }
    active = n;
    uint64_t began_ns = now_ns(), hard_stop;
    stop_ns = began_ns + (uint64_t)(seconds * 1e9);
    hard_stop = stop_ns + DRAIN_S * 1000000000ull;
    for (int i = 0; i < n; i++) all[i].start_at_ns = began_ns + (uint64_t)(drand48() * wait_ms * 1e6);
    start_due(all, n);
    struct epoll_event got[256];
    while (active && now_ns() < hard_stop) {
        uint64_t soonest = earliest_start(all, n), now = now_ns();
        struct timespec pause = {.tv_nsec = 100000000};
        if (soonest) pause.tv_nsec = soonest <= now ? 0 : soonest - now > 100000000 ? 100000000 : (long)(soonest - now);
        int ready = epoll_pwait2(poller, got, 256, &pause, NULL);
        if (soonest) start_due(all, n);
        for (int i = 0; i < ready; i++) {
            Conn *c = got[i].data.ptr;
            if (c->fd >= 0 && (got[i].events & EPOLLOUT)) send_rest(c);
            if (c->fd >= 0 && (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(c);
        }
    }
    report(began_ns);
    return 0;
}
