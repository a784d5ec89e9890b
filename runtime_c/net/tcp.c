#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

/* Socket buffers are left to the kernel: it grows them with the connection's bandwidth and delay to
 * several megabytes, whereas setting a size would fix it at a much lower limit. */
static void tune(int fd) {
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
}

void socket_wait(net_stream *s, double seconds) {
    struct pollfd p = {.fd = s->fd, .events = s->events};
    int ms = seconds <= 0 ? 0 : seconds > 1e6 ? 1000000000 : (int)(seconds * 1000) + 1;
    (void)poll(&p, 1, ms);
}

void socket_interrupt(net_stream *s) {
    (void)shutdown(s->fd, SHUT_RDWR);
}

static ssize_t failed(net_stream *s, short events) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        s->events = events;
        return STREAM_AGAIN;
    }
    if (errno == ECONNRESET || errno == EPIPE) {
        return STREAM_END;
    }
    (void)snprintf(s->error, sizeof s->error, "%s", strerror(errno));
    return STREAM_FAILED;
}

static ssize_t tcp_read(net_stream *s, void *buf, size_t n) {
    ssize_t got = recv(s->fd, buf, n, 0);
    return got > 0 ? got : got == 0 ? STREAM_END : failed(s, POLLIN);
}

static ssize_t tcp_write(net_stream *s, const void *buf, size_t n) {
    ssize_t put = send(s->fd, buf, n, MSG_NOSIGNAL);
    return put > 0 ? put : failed(s, POLLOUT);
}

static void tcp_close(net_stream *s) {
    (void)close(s->fd);
    free(s);
}

static const net_stream_ops tcp_ops = {tcp_read, tcp_write, socket_wait, socket_interrupt,
                                       tcp_close};

net_stream *tcp_stream(int fd) {
    net_stream *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->ops = &tcp_ops;
        s->fd = fd;
    }
    return s;
}

static struct addrinfo *resolve(const net_address *address, int flags, const char **why) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", address->port);
    int rc = getaddrinfo(address->host, port, &hints, &list);
    *why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
    return rc == 0 ? list : NULL;
}

int tcp_listen(const net_address *address, unsigned me, seq_error *err) {
    const char *why = NULL;
    struct addrinfo *list = resolve(address, AI_PASSIVE, &why);
    int fd = -1;
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        int one = 1;
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            why = strerror(errno);
            continue;
        }
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 64) != 0) {
            why = strerror(errno);
            (void)close(fd);
            fd = -1;
        }
    }
    if (list != NULL) {
        freeaddrinfo(list);
    }
    if (fd < 0) {
        seq_fail(err, SEQ_ERR_CONFIG, (int)me,
                 "cannot listen on %.200s:%u, the address of party %u (this one): %s",
                 address->host, address->port, me, why);
    }
    return fd;
}

uint16_t tcp_port(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

int tcp_dial(const net_address *address, unsigned attempt, char *why, size_t size) {
    const char *reason = NULL;
    struct addrinfo *list = resolve(address, 0, &reason);
    if (list == NULL) {
        (void)snprintf(why, size, "%s", reason);
        return -1;
    }
    unsigned count = 0;
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        count++;
    }
    struct addrinfo *a = list;
    for (unsigned skip = attempt % count; skip > 0; skip--) {
        a = a->ai_next;
    }
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        tune(fd);
    }
    if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)) {
        (void)snprintf(why, size, "%s", strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

int tcp_dialled(int fd, char *why, size_t size) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0) {
        return 0;
    }
    int code = 0;
    socklen_t length = sizeof code;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) != 0 || code != 0) {
        (void)snprintf(why, size, "%s", strerror(code));
        return -1;
    }
    return 1;
}

int tcp_accept(int listen_fd, char *from, size_t size) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd = accept4(listen_fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    tune(fd);
    char host[64], port[8];
    if (getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(from, size, "%s:%s", host, port);
    } else {
        (void)snprintf(from, size, "an unknown address");
    }
    return fd;
}
