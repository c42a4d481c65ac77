/* A model server that costs almost nothing: single-threaded, epoll, fixed answers, loopback only.
 *
 *   upstream PORT MAX_SECONDS
 *
 * GET  /v1/models            the one model
 * GET  anything else         200 {}                       (health checks of routers)
 * POST anything              a chat completion of about 500 bytes, or, when the body holds "stream":true,
 *                            server-sent events in chunked framing, each event in a write of its own:
 *                            N content events, finish, usage (when include_usage is asked), [DONE].
 *
 * A marker anywhere in the body, bench(delay=MS,pace=MS,events=N), sets the wait before the first byte, the
 * time between two events, and N (default 0, 0, 50): so one server behind one gateway serves all scenarios.
 * Not here: TLS, HTTP/1.0, trailers. It ends by itself after MAX_SECONDS or with its parent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 64, MAX_WORDS = 512, EVENT_ROOM = 320, BODY_LIMIT = 64 << 20 };

typedef struct Conn {
    int fd, waiting_out, closing, streaming;
    char *in;
    size_t in_len, in_cap, scanned;
    const char *out; /* rest of a write that the socket did not take */
    size_t out_len;
    int words, word, ask_usage; /* streams: content events wanted, next event, whether usage was asked */
    uint64_t pace_ns, due_ns;
    struct Conn *prev, *next; /* timer list, sorted by due_ns */
    int timed;
} Conn;

static int poller, timer;
static Conn *first_due, *last_due;
static char answer[1200], models[400], health[200], stream_head[300];
static size_t answer_len, models_len, health_len, stream_head_len;
static char words[MAX_WORDS][EVENT_ROOM], finish[EVENT_ROOM], usage[EVENT_ROOM * 2], done[64];
static size_t word_len[MAX_WORDS], finish_len, usage_len, done_len;

static void die(const char *what) {
    perror(what);
    exit(2);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- fixed answers ---- */

static size_t plain(char *to, size_t room, const char *json) {
    return (size_t)snprintf(to, room,
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n"
                            "content-length: %zu\r\n\r\n%s",
                            strlen(json), json);
}

static size_t event(char *to, size_t room, const char *data, const char *tail) {
    return (size_t)snprintf(to, room, "%zx\r\ndata: %s\n\n\r\n%s", strlen(data) + 8, data, tail);
}

static void prepare(void) {
    static const char *head = "{\"id\":\"chatcmpl-bench0123456789\",\"object\":\"chat.completion.chunk\","
                              "\"created\":1780000000,\"model\":\"bench-model\","
                              "\"system_fingerprint\":\"fp_0123456789\",";
    char json[600];
    answer_len = plain(answer, sizeof answer,
        "{\"id\":\"chatcmpl-bench0123456789\",\"object\":\"chat.completion\",\"created\":1780000000,"
        "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"The quick brown fox jumps over the lazy dog while the gateway counts every microsecond.\","
        "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":182,"
        "\"completion_tokens\":24,\"total_tokens\":206,\"prompt_tokens_details\":{\"cached_tokens\":128},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_bench\"}");
    models_len = plain(models, sizeof models,
        "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\",\"created\":1780000000,"
        "\"owned_by\":\"bench\"}]}");
    health_len = plain(health, sizeof health, "{}");
    stream_head_len = (size_t)snprintf(stream_head, sizeof stream_head,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
        "x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < MAX_WORDS; i++) {
        snprintf(json, sizeof json,
                 "%s\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%03d\"},\"finish_reason\":null}]}",
                 head, i);
        word_len[i] = event(words[i], EVENT_ROOM, json, "");
    }
    snprintf(json, sizeof json, "%s\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}", head);
    finish_len = event(finish, sizeof finish, json, "");
    snprintf(json, sizeof json,
             "%s\"choices\":[],\"usage\":{\"prompt_tokens\":182,\"completion_tokens\":50,\"total_tokens\":232,"
             "\"prompt_tokens_details\":{\"cached_tokens\":128}}}", head);
    usage_len = event(usage, sizeof usage, json, "");
    done_len = event(done, sizeof done, "[DONE]", "0\r\n\r\n");
}

/* ---- timers: a list sorted by due time, nearly always appended at its end ---- */

static void arm(void) {
    struct itimerspec t = {0};
    if (first_due) {
        t.it_value.tv_sec = (time_t)(first_due->due_ns / 1000000000u);
        t.it_value.tv_nsec = (long)(first_due->due_ns % 1000000000u);
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void untime(Conn *c) {
    if (!c->timed) return;
    if (c->prev) c->prev->next = c->next; else first_due = c->next;
    if (c->next) c->next->prev = c->prev; else last_due = c->prev;
    c->timed = 0;
}

static void wait_until(Conn *c, uint64_t due_ns) {
    Conn *after = last_due;
    while (after && after->due_ns > due_ns) after = after->prev;
    c->due_ns = due_ns;
    c->prev = after;
    c->next = after ? after->next : first_due;
    if (c->prev) c->prev->next = c; else first_due = c;
    if (c->next) c->next->prev = c; else last_due = c;
    c->timed = 1;
    if (first_due == c) arm();
}

/* ---- connections ---- */

static void watch_out(Conn *c, int wanted) {
    if (c->waiting_out == wanted) return;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waiting_out = wanted;
}

static void drop(Conn *c) { /* freed after the batch of events in hand (see main) */
    if (c->fd < 0) return;
    untime(c);
    close(c->fd);
    c->fd = -1;
}

/* Returns whether all of it left; a rest is kept and goes out on EPOLLOUT. */
static int put(Conn *c, const char *data, size_t len) {
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len) return 1;
    if (n < 0 && errno != EAGAIN) {
        drop(c);
        return 0;
    }
    n = n < 0 ? 0 : n;
    c->out = data + n;
    c->out_len = len - (size_t)n;
    watch_out(c, 1);
    return 0;
}

static int next_event(Conn *c) {
    int i = c->word++;
    if (i < c->words) return put(c, words[i], word_len[i]);
    i -= c->words;
    if (i == 0) return put(c, finish, finish_len);
    if (i == 1 && c->ask_usage) return put(c, usage, usage_len);
    c->streaming = 0;
    return put(c, done, done_len);
}

static void serve(Conn *c);

static void forget(Conn *c) {
    free(c->in);
    free(c);
}

static void stream_on(Conn *c) {
    while (c->streaming) {
        if (!next_event(c)) return;
        if (c->streaming && c->pace_ns) {
            wait_until(c, c->due_ns + c->pace_ns);
            return;
        }
    }
    if (c->closing) drop(c);
}

static void begin(Conn *c) { /* the delay is over: first bytes */
    if (!c->streaming) {
        if (put(c, answer, answer_len) && c->closing) drop(c);
        return;
    }
    if (put(c, stream_head, stream_head_len)) stream_on(c);
}

static void tick(void) {
    uint64_t now = now_ns(), seen;
    if (read(timer, &seen, sizeof seen) < 0 && errno != EAGAIN) die("timer");
    while (first_due && first_due->due_ns <= now) {
        Conn *c = first_due;
        untime(c);
        if (c->word < 0) c->word = 0, begin(c); else stream_on(c);
        if (c->fd >= 0) serve(c);
        else forget(c);
    }
    arm();
}

/* ---- requests ---- */

/* End of a chunked body that starts at `at`, or 0 while it is incomplete. */
static size_t chunked_end(const char *in, size_t at, size_t len) {
    for (;;) {
        const char *line = memchr(in + at, '\n', len - at);
        if (!line) return 0;
        size_t size = strtoul(in + at, NULL, 16), next = (size_t)(line - in) + 1 + size + 2;
        if (next > len) return 0;
        at = next;
        if (!size) return at;
    }
}

static long number_after(const char *text, const char *name, long otherwise) {
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : otherwise;
}

/* What the body asks for; returns the wait before the first byte, in ms. */
static long read_wishes(Conn *c, const char *body, size_t len) {
    char marker[80] = "";
    const char *at = memmem(body, len, "bench(", 6);
    if (at) {
        size_t room = (size_t)(body + len - at);
        memcpy(marker, at, room < sizeof marker - 1 ? room : sizeof marker - 1);
        marker[strcspn(marker, ")")] = 0;
    }
    long delay_ms = number_after(marker, "delay=", 0), count = number_after(marker, "events=", 50);
    c->pace_ns = (uint64_t)number_after(marker, "pace=", 0) * 1000000u;
    c->words = (int)(count < 1 ? 1 : count > MAX_WORDS ? MAX_WORDS : count);
    const char *flag = memmem(body, len, "\"stream\":", 9);
    c->streaming = flag && (flag[9] == 't' || (flag[9] == ' ' && flag[10] == 't'));
    c->ask_usage = c->streaming && memmem(body, len, "\"include_usage\"", 15) != NULL;
    c->word = 0;
    return delay_ms;
}

static void answer_post(Conn *c, long delay_ms) {
    c->due_ns = c->pace_ns || delay_ms ? now_ns() : 0;
    if (!delay_ms) {
        begin(c);
        return;
    }
    c->word = -1;
    wait_until(c, c->due_ns + (uint64_t)delay_ms * 1000000u);
}

/* Answers what has wholly arrived; one answer at a time per connection. */
static void serve(Conn *c) {
    while (c->fd >= 0 && c->in_len && !c->streaming && !c->timed && !c->out_len) {
        size_t from = c->scanned > 3 ? c->scanned - 3 : 0;
        char *end = memmem(c->in + from, c->in_len - from, "\r\n\r\n", 4);
        c->scanned = end ? 0 : c->in_len;
        if (!end) return;
        size_t head = (size_t)(end - c->in) + 4, total;
        *end = 0; /* lets the string searches below stop; put back before returning early */
        const char *length = strcasestr(c->in, "\r\ncontent-length:");
        int chunked = strcasestr(c->in, "\r\ntransfer-encoding: chunked") != NULL;
        c->closing = strcasestr(c->in, "\r\nconnection: close") != NULL;
        total = chunked ? chunked_end(c->in, head, c->in_len) : head + (length ? strtoul(length + 17, NULL, 10) : 0);
        if (total > BODY_LIMIT) {
            drop(c);
            return;
        }
        if (!total || total > c->in_len) {
            *end = '\r';
            return;
        }
        int get = !strncmp(c->in, "GET ", 4), listing = get && !strncmp(c->in + 4, "/v1/models", 10);
        long delay_ms = get ? 0 : read_wishes(c, c->in + head, total - head);
        memmove(c->in, c->in + total, c->in_len - total);
        c->in_len -= total;
        if (!get) answer_post(c, delay_ms);
        else if (put(c, listing ? models : health, listing ? models_len : health_len) && c->closing) drop(c);
    }
}

static void readable(Conn *c) {
    for (;;) {
        if (c->in_cap - c->in_len < 16384) {
            c->in_cap = c->in_cap ? c->in_cap * 2 : 32768;
            c->in = realloc(c->in, c->in_cap + 1);
            if (!c->in) die("memory");
        }
        size_t room = c->in_cap - c->in_len;
        ssize_t n = recv(c->fd, c->in + c->in_len, room, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        if (n < 0) return;
        c->in_len += (size_t)n;
        c->in[c->in_len] = 0;
        serve(c);
        if (c->fd < 0 || (size_t)n < room) return;
    }
}

static void writable(Conn *c) {
    const char *rest = c->out;
    size_t len = c->out_len;
    c->out_len = 0;
    if (!put(c, rest, len)) return;
    watch_out(c, 0);
    if (c->streaming) stream_on(c);
    else if (c->closing) drop(c);
    if (c->fd >= 0) serve(c);
}

static void greet(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Conn *c = calloc(1, sizeof *c);
        if (!c) die("memory");
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) die("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: upstream PORT MAX_SECONDS\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm((unsigned)atoi(argv[2]));
    prepare();
    int listener = listen_on(atoi(argv[1]));
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener}, got[MAX_EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &timer;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    for (;;) {
        int n = epoll_wait(poller, got, MAX_EVENTS, -1), due = 0;
        for (int i = 0; i < n; i++) {
            void *who = got[i].data.ptr;
            if (who == &listener) greet(listener);
            else if (who == &timer) due = 1;
            else {
                Conn *c = who;
                if (c->fd >= 0 && (got[i].events & EPOLLOUT)) writable(c);
                if (c->fd >= 0 && (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(c);
                if (c->fd < 0) forget(c);
            }
        }
        if (due) tick(); /* last: it may forget connections that stand later in this batch */
    }
}
