/* The Messages API as a benchmark needs it: `upstream PORT GAP_US`, one thread, answers that are written beforehand.
 *
 * POST /…/messages is answered with a message, or with `"stream":true` by 26 events: three at once, then a piece
 * every GAP_US, 20 in all, then three more; with GAP_US 0 all at once. Every other POST is taken and answered by an
 * empty 200, so that it is a sink for OTLP as well. Refuses nothing: who asks wrongly sees it in what is counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 16384
#define REQUEST 65536
#define PIECES 20
#define EVENTS (PIECES + 6)
#define HEAD_EVENTS 3

static const char MODEL[] = "claude-sonnet-5-5";
static const char HEADERS[] =
    "date: Mon, 23 Nov 2026 03:00:00 GMT\r\nrequest-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n"
    "anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: 3999\r\n"
    "anthropic-ratelimit-requests-reset: 2026-11-23T03:00:00Z\r\nanthropic-ratelimit-input-tokens-limit: 400000\r\n"
    "anthropic-ratelimit-input-tokens-remaining: 399000\r\nanthropic-ratelimit-output-tokens-limit: 80000\r\n"
    "anthropic-ratelimit-output-tokens-remaining: 79000\r\nserver: cloudflare\r\ncf-ray: 8e0a0a0a0a0a0a0a-IAD\r\n";

typedef struct { char bytes[8192]; int size; } text;
typedef struct { int fd, used, generation, event; long skip; char *request; } connection;
typedef struct { long long due; int fd, generation; } step;

static connection connections[CONNECTIONS];
static text message, head, empty, events[EVENTS], whole;
static step *steps;
static unsigned first_step, next_step;
#define STEPS (1u << 17)
static long long gap;
static int poll_fd;

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static void add_event(int number, const char *name, const char *data)
{
    char frame[2048];
    int size = snprintf(frame, sizeof frame, "event: %s\ndata: %s\n\n", name, data);
    const char *end = number == EVENTS - 1 ? "0\r\n\r\n" : "";
    events[number].size = snprintf(events[number].bytes, sizeof events[number].bytes, "%x\r\n%s\r\n%s", size, frame, end);
}

static void write_answers(void)
{
    char data[4096], words[1024] = "";
    for (int number = 0; number < PIECES; number++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "piece %02d ok ", number);
    int size = snprintf(data, sizeof data,
        "{\"id\":\"msg_013Zva2CMHLNnXjNJJKqJ2EF\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\",\"content\":"
        "[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":"
        "{\"input_tokens\":42,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":40,"
        "\"service_tier\":\"standard\"}}", MODEL, words);
    message.size = snprintf(message.bytes, sizeof message.bytes,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n%s", HEADERS, size, data);
    head.size = snprintf(head.bytes, sizeof head.bytes,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
        "transfer-encoding: chunked\r\n%s\r\n", HEADERS);
    empty.size = snprintf(empty.bytes, sizeof empty.bytes,
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
    snprintf(data, sizeof data,
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_013Zva2CMHLNnXjNJJKqJ2EF\",\"type\":\"message\",\"role\":"
        "\"assistant\",\"model\":\"%s\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":"
        "42,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1,\"service_tier\":"
        "\"standard\"}}}", MODEL);
    add_event(0, "message_start", data);
    add_event(1, "content_block_start",
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}");
    add_event(2, "ping", "{\"type\": \"ping\"}");
    for (int number = 0; number < PIECES; number++) {
        snprintf(data, sizeof data,
            "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"piece %02d ok \"}}",
            number);
        add_event(HEAD_EVENTS + number, "content_block_delta", data);
    }
    add_event(EVENTS - 3, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
    add_event(EVENTS - 2, "message_delta",
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":"
        "{\"input_tokens\":42,\"output_tokens\":40}}");
    add_event(EVENTS - 1, "message_stop", "{\"type\":\"message_stop\"}");
    memcpy(whole.bytes, head.bytes, head.size);
    whole.size = head.size;
    for (int number = 0; number < EVENTS; number++) {
        memcpy(whole.bytes + whole.size, events[number].bytes, events[number].size);
        whole.size += events[number].size;
    }
}

static void hang_up(connection *one)
{
    close(one->fd);
    free(one->request);
    one->request = NULL;
    one->generation++;
    one->used = 0;
    one->skip = 0;
    one->event = -1;
}

static int say(connection *one, const char *bytes, int size)
{
    while (size > 0) {
        int sent = send(one->fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            usleep(100);
            continue;
        }
        if (sent < 0) {
            hang_up(one);
            return -1;
        }
        bytes += sent;
        size -= sent;
    }
    return 0;
}

static void later(connection *one)
{
    steps[next_step++ & (STEPS - 1)] = (step){now() + gap, one->fd, one->generation};
}

static int say_events(connection *one, int from, int to)
{
    char bytes[8192];
    int size = 0;
    for (int number = from; number < to; number++) {
        memcpy(bytes + size, events[number].bytes, events[number].size);
        size += events[number].size;
    }
    return say(one, bytes, size);
}

static void answer(connection *one, const char *path, const char *body)
{
    if (!strstr(path, "/messages"))
        say(one, empty.bytes, empty.size);
    else if (!strstr(body, "\"stream\":true") && !strstr(body, "\"stream\": true"))
        say(one, message.bytes, message.size);
    else if (!gap)
        say(one, whole.bytes, whole.size);
    else if (!say(one, head.bytes, head.size) && !say_events(one, 0, HEAD_EVENTS)) {
        one->event = HEAD_EVENTS;
        later(one);
    }
}

static void go_on(connection *one)
{
    int number = one->event, last = number >= HEAD_EVENTS + PIECES;
    if (say_events(one, number, last ? EVENTS : number + 1))
        return;
    one->event = last ? -1 : number + 1;
    if (!last)
        later(one);
}

/* Answer each request that is whole; of one too long for the buffer only the head is kept. */
static void read_requests(connection *one)
{
    while (one->event < 0 && one->used) {
        one->request[one->used] = 0;
        char *end = strstr(one->request, "\r\n\r\n");
        if (!end)
            return;
        char *length = strcasestr(one->request, "content-length:");
        long body = length && length < end ? atol(length + 15) : 0, size = end - one->request + 4 + body;
        long beyond = size > REQUEST ? size - one->used : 0;
        if (!beyond && one->used < size)
            return;
        int taken = beyond ? one->used : (int)size, generation = one->generation;
        char kept = one->request[taken], path[256];
        one->request[taken] = 0;
        snprintf(path, sizeof path, "%.*s", (int)strcspn(one->request, "\r"), one->request);
        one->skip = beyond;
        answer(one, path, end);
        if (one->generation != generation)
            return;
        one->request[taken] = kept;
        memmove(one->request, one->request + taken, one->used - taken);
        one->used -= taken;
    }
}

static void hear(connection *one)
{
    static char thrown[1 << 18];
    while (one->skip) {
        int got = recv(one->fd, thrown, one->skip < (long)sizeof thrown ? one->skip : (long)sizeof thrown, 0);
        if (got <= 0) {
            if (!(got < 0 && errno == EAGAIN))
                hang_up(one);
            return;
        }
        one->skip -= got;
    }
    int got = recv(one->fd, one->request + one->used, REQUEST - one->used, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        hang_up(one);
        return;
    }
    one->used += got;
    read_requests(one);
}

static void welcome(int listener)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        connection *one = &connections[fd];
        int generation = one->generation + 1;
        *one = (connection){.fd = fd, .generation = generation, .event = -1, .request = malloc(REQUEST + 1)};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void go_on_with_all(void)
{
    long long at = now();
    while (first_step != next_step && steps[first_step & (STEPS - 1)].due <= at) {
        step due = steps[first_step++ & (STEPS - 1)];
        connection *one = &connections[due.fd];
        if (one->generation != due.generation)
            continue;
        go_on(one);
        if (one->generation == due.generation && one->event < 0)
            read_requests(one);
    }
}

int main(int count, char **given)
{
    if (count != 3) {
        fprintf(stderr, "upstream PORT GAP_US\n");
        return 2;
    }
    gap = atoll(given[2]);
    signal(SIGPIPE, SIG_IGN);
    write_answers();
    steps = malloc(sizeof *steps * STEPS);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("upstream");
        return 1;
    }
    poll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[512];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct timespec until = {0}, *limit = NULL;
        if (first_step != next_step) {
            long long wait = steps[first_step & (STEPS - 1)].due - now();
            wait = wait < 0 ? 0 : wait;
            until = (struct timespec){wait / 1000000, wait % 1000000 * 1000};
            limit = &until;
        }
        int found = epoll_pwait2(poll_fd, ready, 512, limit, NULL);
        for (int each = 0; each < found; each++)
            if (ready[each].data.fd == listener)
                welcome(listener);
            else if (connections[ready[each].data.fd].request)
                hear(&connections[ready[each].data.fd]);
        go_on_with_all();
    }
}
