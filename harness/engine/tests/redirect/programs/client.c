/* Connects as it is told and says what came of it, one line for each target:
 *
 *   ask ADDRESS PORT...     waits in connect(2) itself
 *   poll ADDRESS PORT...    asks the kernel not to wait, and polls
 *   thread ADDRESS PORT...  as ask, from a second thread
 *   child ADDRESS PORT...   as ask, from a child that executes this program again
 *   udp ADDRESS PORT...     a connected datagram socket
 *   only ADDRESS PORT...    as ask, by a socket that is for IPv6 only
 *   alarm ADDRESS PORT...   as ask, with a signal after 100 ms that is caught and not to restart the call
 *
 * A line is "ANSWER peer=PEER nonblocking=0|1" or "errno N at CALL".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program, *mode;

static void failed(const char *call) {
    printf("errno %d at %s\n", errno, call);
}

static void caught(int signal) {
    (void)signal;
}

static int wait_for(int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 20000) != 1) {
        errno = ETIMEDOUT;
        return -1;
    }
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    return error ? -1 : 0;
}

static void ask(const char *address, const char *port) {
    int is_v6 = strchr(address, ':') != NULL;
    int is_udp = !strcmp(mode, "udp"), polls = !strcmp(mode, "poll");
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
    inet_pton(is_v6 ? AF_INET6 : AF_INET, address, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
    struct sockaddr *to = is_v6 ? (void *)&v6 : (void *)&v4;
    socklen_t length = is_v6 ? sizeof v6 : sizeof v4;

    int fd = socket(is_v6 ? AF_INET6 : AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (polls)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    int only = 1;
    if (!strcmp(mode, "only"))
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    if (!strcmp(mode, "alarm")) {
        struct sigaction action = {.sa_handler = caught};
        sigaction(SIGALRM, &action, NULL);
        struct itimerval soon = {.it_value = {.tv_usec = 100000}};
        setitimer(ITIMER_REAL, &soon, NULL);
    }
    if (connect(fd, to, length) == -1 && !(polls && errno == EINPROGRESS && wait_for(fd) == 0)) {
        failed("connect");
        close(fd);
        return;
    }
    int nonblocking = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
    struct sockaddr_in6 peer = {0};
    socklen_t size = sizeof peer;
    getpeername(fd, (void *)&peer, &size);
    char answer[64] = "";
    ssize_t got;
    if (send(fd, "who\n", 4, MSG_NOSIGNAL) == -1)
        failed("send");
    do {
        got = recv(fd, answer, sizeof answer - 1, 0);
    } while (got == -1 && errno == EAGAIN && polls);
    if (got == -1) {
        failed("recv");
    } else {
        answer[strcspn(answer, "\n")] = 0;
        printf("%s peer=%d nonblocking=%d\n", answer, ntohs(peer.sin6_port), nonblocking);
    }
    close(fd);
}

static void *in_thread(void *target) {
    ask(((char **)target)[0], ((char **)target)[1]);
    return NULL;
}

static void in_child(char **target) {
    fflush(stdout);
    if (fork() == 0) {
        execl(program, program, "ask", target[0], target[1], (char *)NULL);
        failed("exec");
        _exit(1);
    }
    wait(NULL);
}

int main(int count, char **arguments) {
    program = arguments[0];
    mode = arguments[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int at = 2; at + 1 < count; at += 2) {
        if (!strcmp(mode, "thread")) {
            pthread_t thread;
            pthread_create(&thread, NULL, in_thread, arguments + at);
            pthread_join(thread, NULL);
        } else if (!strcmp(mode, "child")) {
            in_child(arguments + at);
        } else {
            ask(arguments[at], arguments[at + 1]);
        }
    }
    return 0;
}
