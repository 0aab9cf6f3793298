/* Callers who ask again as soon as they are answered: `load PORT PATH BODY CALLERS SECONDS WORD TIMES [HEADER]...`
 *
 * BODY is a file. An answer is good that has a status of 2xx and WORD so many TIMES; its first event is the first
 * WORD. The clock starts when every caller had an answer, or after ten seconds. One line of JSON on stdout, times in
 * microseconds. Refuses to count what is cut off or short among the answers: it is `bad`. `all` is
 * every answer since the first request, for who divides by them what a process spent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER 65536
#define ANSWERS 4000000
#define WARM_US 500000
#define WARM_MOST_US 10000000

typedef struct {
    int fd, used, in_body, chunked, status, words, closes, warm;
    long left;
    long long asked, first;
    char bytes[BUFFER + 1];
} caller;

static char request[1 << 17], *word;
static int request_size, times, poll_fd;
static size_t word_size;
static struct sockaddr_in address;
static caller *callers;
static double *totals, *firsts;
static long good, began, bad, reconnected, all;

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static int ascending(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

static double quantile(const double *values, long count, double part)
{
    return count ? values[(long)((count - 1) * part)] : -1;
}

static void ask(caller *one);

static void come(caller *one)
{
    int yes = 1;
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(one->fd, (void *)&address, sizeof address)) {
        perror("load");
        exit(1);
    }
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = one - callers};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, one->fd, &event);
    ask(one);
}

static void come_again(caller *one)
{
    close(one->fd);
    reconnected++;
    come(one);
}

static void ask(caller *one)
{
    one->used = one->in_body = one->chunked = one->words = one->closes = 0;
    one->left = -1;
    one->first = 0;
    one->asked = now();
    if (send(one->fd, request, request_size, MSG_NOSIGNAL) != request_size) {
        bad++;
        come_again(one);
    }
}

/* Count the words in what came, and keep as much of its end as may be the beginning of another, or of the end. */
static void look(caller *one)
{
    char *from = one->bytes, *at;
    while ((at = memmem(from, one->bytes + one->used - from, word, word_size))) {
        if (!one->first)
            one->first = now();
        one->words++;
        from = at + word_size;
    }
    int rest = one->bytes + one->used - from, keep = word_size > 8 ? (int)word_size - 1 : 8;
    if (rest > keep) {
        from += rest - keep;
        rest = keep;
    }
    memmove(one->bytes, from, rest);
    one->used = rest;
}

static int read_head(caller *one)
{
    char *end = memmem(one->bytes, one->used, "\r\n\r\n", 4), *length;
    if (!end)
        return 0;
    *end = 0;
    one->status = atoi(one->bytes + 9);
    length = strcasestr(one->bytes, "content-length:");
    one->left = length ? atol(length + 15) : -1;
    one->chunked = !!strcasestr(one->bytes, "transfer-encoding: chunked");
    one->closes = !!strcasestr(one->bytes, "connection: close");
    one->in_body = 1;
    int size = end + 4 - one->bytes;
    memmove(one->bytes, one->bytes + size, one->used - size);
    one->used -= size;
    return 1;
}

/* Whether the answer is whole. */
static int hear(caller *one, int got)
{
    one->used += got;
    one->bytes[one->used] = 0;
    if (!one->in_body) {
        if (!read_head(one))
            return 0;
        got = one->used;
    }
    int ended = one->chunked && one->used >= 5 && !memcmp(one->bytes + one->used - 5, "0\r\n\r\n", 5);
    if (one->left >= 0)
        ended = (one->left -= got) <= 0;
    look(one);
    return ended;
}

static void count(caller *one)
{
    if (one->status < 200 || one->status > 299 || one->words != times) {
        if (!bad++)
            fprintf(stderr, "first bad answer: status %d, %d words: %.200s\n", one->status, one->words, one->bytes);
        return;
    }
    if (good < ANSWERS) {
        totals[good++] = now() - one->asked;
        firsts[began++] = one->first - one->asked;
    }
}

int main(int argc, char **given)
{
    if (argc < 8) {
        fprintf(stderr, "load PORT PATH BODY CALLERS SECONDS WORD TIMES [HEADER]...\n");
        return 2;
    }
    static char body[1 << 16];
    FILE *file = fopen(given[3], "r");
    int size = file ? (int)fread(body, 1, sizeof body, file) : 0, many = atoi(given[4]), warm = 0;
    double seconds = atof(given[5]);
    word = given[6];
    word_size = strlen(word);
    times = atoi(given[7]);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(given[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    request_size = sprintf(request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
        given[2], given[1], size);
    for (int each = 8; each < argc; each++)
        request_size += sprintf(request + request_size, "%s\r\n", given[each]);
    request_size += sprintf(request + request_size, "\r\n");
    memcpy(request + request_size, body, size);
    request_size += size;
    totals = malloc(sizeof *totals * ANSWERS);
    firsts = malloc(sizeof *firsts * ANSWERS);
    callers = calloc(many, sizeof *callers);
    poll_fd = epoll_create1(0);
    long long start = now(), end = 0;
    for (int each = 0; each < many; each++)
        come(&callers[each]);
    struct epoll_event ready[512];
    while (!end || now() < end) {
        int found = epoll_wait(poll_fd, ready, 512, 100);
        for (int each = 0; each < found; each++) {
            caller *one = &callers[ready[each].data.u32];
            int got = recv(one->fd, one->bytes + one->used, BUFFER - one->used, 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            int whole = got > 0 ? hear(one, got) : one->in_body && one->left < 0 && !one->chunked;
            if (got <= 0 && !whole)
                bad++;
            all += whole;
            if (whole && end)
                count(one);
            if (whole && !one->warm)
                warm += one->warm = 1;
            if (got <= 0 || (whole && one->closes))
                come_again(one);
            else if (whole)
                ask(one);
        }
        long long spent = now() - start;
        if (!end && ((spent > WARM_US && warm == many) || spent > WARM_MOST_US)) {
            start = now();
            end = start + (long long)(seconds * 1e6);
            bad = reconnected = 0;
        }
    }
    double elapsed = (now() - start) / 1e6;
    qsort(totals, good, sizeof *totals, ascending);
    qsort(firsts, began, sizeof *firsts, ascending);
    printf("{\"rate\": %.1f, \"good\": %ld, \"bad\": %ld, \"all\": %ld, \"reconnected\": %ld, \"p50\": %.0f, \"p99\": %.0f, "
           "\"first_p50\": %.0f, \"first_p99\": %.0f}\n",
        good / elapsed, good, bad, all, reconnected, quantile(totals, good, 0.5), quantile(totals, good, 0.99),
        quantile(firsts, began, 0.5), quantile(firsts, began, 0.99));
    return 0;
}
